"""Instances shared by the tests, and the profile of hypothesis."""

import os

import hypothesis
import pytest

from tests.instances import random_discounted, random_episodic

# The examples are the same at every run; HYPOTHESIS_PROFILE=search draws new ones, and more.
hypothesis.settings.register_profile("kernels", deadline=None, max_examples=25, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=250)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "kernels"))


@pytest.fixture(params=[False, True], ids=["stationary", "stages"])
def mdp(request):
    """A small random episodic problem."""
    return random_episodic(S=5, A=3, H=4, seed=0, stages=request.param)


@pytest.fixture
def discounted():
    """A small random ergodic problem."""
    return random_discounted(S=6, A=3, gamma=0.9, seed=0)
