"""Returns of the deep agents on MuJoCo v5 and on a pendulum: interquartile means over seeds, with intervals.

    python control.py                          # the short list: what a laptop does in hours
    python control.py --list long --device cuda     # HalfCheetah, Walker2d, Ant, Humanoid, a million steps

Every run has its folder under ``--out`` and goes on where it stopped: the same command continues. The table
is of the last evaluation, ten episodes of the deterministic policy per seed. On the pendulum, where 10,000
steps are five rollouts, the agents that learn from rollouts are given ten times the steps. See README.md.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from common import arguments, number, publish, table

from eluder.deep import online
from eluder.deep.common.config import tuned
from eluder.deep.online import Schedule
from eluder.experiments.stats import iqm, stratified_bootstrap

LISTS = {
    "pendulum": {"Pendulum-v1": 10_000},
    "short": {
        "InvertedDoublePendulum-v5": 15_000,
        "Swimmer-v5": 20_000,
        "Hopper-v5": 30_000,
    },
    "long": dict.fromkeys(("HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5"), 1_000_000),
}
AGENTS = {
    "sac": online.SACConfig,
    "td3": online.TD3Config,
    "ddpg": online.DDPGConfig,
    "dsac": online.DSACConfig,
    "dsac_t": online.DSACTConfig,
    "pmoe": online.PMOEConfig,
    "ppo": online.PPOConfig,
    "pmoe_ppo": online.PMOEPPOConfig,
}
TIMES = {"pendulum": {"ppo": 10, "pmoe_ppo": 10}}  # as many steps as the list says


def returns(agent, env, steps, args):
    """Train, or go on, or only read: mean return of each seed at the last evaluation."""
    out = Path(args.out) / f"{agent}-{env}-{steps}"
    done = out / "result.json"
    if done.exists():
        held = json.loads(done.read_text(encoding="utf-8"))
        if held["steps"] == steps and len(held["returns"]) == args.seeds:
            return held["returns"]
    schedule = Schedule(
        evaluate_every=max(steps // 5, 1), episodes=10, save_every=max(steps // 5, 1), progress=True
    )
    result = getattr(online, agent)(
        env,
        steps,
        config=tuned(AGENTS[agent](), agent, env),
        seeds=range(args.seeds),
        device=args.device,
        out=out,
        resume=True,
        schedule=schedule,
    )
    found = result.returns[-1].mean(axis=1).tolist()
    done.write_text(json.dumps({"steps": steps, "returns": found}), encoding="utf-8")
    return found


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--list", default="short", choices=LISTS, help="environments (%(default)s)")
    parser.add_argument("--agents", default=",".join(AGENTS), help="agents (%(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of each (%(default)s)")
    parser.add_argument("--device", default="cpu", help="device (%(default)s)")
    parser.add_argument("--out", default="runs/control", help="folder of the runs (%(default)s)")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for env, least in LISTS[args.list].items():
        for agent in args.agents.split(","):
            if args.only not in f"{agent}-{env}":
                continue
            steps = least * TIMES.get(args.list, {}).get(agent, 1)
            x = np.array(returns(agent, env, steps, args))[:, None]
            interval = stratified_bootstrap(iqm, x, rng=np.random.default_rng(0))
            ends = f"{number(float(interval.low))} to {number(float(interval.high))}"
            rows.append([env, f"{steps:,}", agent, number(float(iqm(x))), ends])
            print(f"  {rows[-1]}", file=sys.stderr)
    head = ["environment", "steps", "agent", f"IQM of {args.seeds} seeds", "95 % interval"]
    publish(f"control {args.list}", table(head, rows), args.write)


if __name__ == "__main__":
    main()
