"""Learners against adversarial losses, with linear action values."""

from eluder.linear.adversarial._dilated_exp_po import dilated_exp_po
from eluder.linear.adversarial._log_barrier_po import log_barrier_po
from eluder.linear.adversarial._magnitude_reduced_po import magnitude_reduced_po
from eluder.linear.adversarial._mdp_linexp3 import mdp_linexp3
from eluder.linear.adversarial._simulator_free_po import simulator_free_po

__all__ = ["dilated_exp_po", "log_barrier_po", "magnitude_reduced_po", "mdp_linexp3", "simulator_free_po"]
