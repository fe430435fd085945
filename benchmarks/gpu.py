"""Deep agents on a GPU: steps per second of one seed and of many, and the same numbers as on the CPU.

Runs in under ten minutes on one card, prints its table, and ends with code 1 where there is none. Wall time,
environment included; a step's cost is the difference of two runs. See README.md.
"""

import sys
import time
import warnings

import torch
from common import arguments, number, publish, table

from eluder.deep.common.random import seed_keys
from eluder.deep.common.replay import Batch
from eluder.deep.inventory import HDPOConfig, hdpo
from eluder.deep.online import DSACTConfig, SACConfig, Schedule, dsac_t, sac
from eluder.deep.online._sac import init, make_update
from eluder.envs.inventory import setting

SHORT, LONG = 400, 1_600
CASES = {
    "sac, 1 seed": (sac, SACConfig(warmup=200), 1),
    "sac, 8 seeds": (sac, SACConfig(warmup=200), 8),
    "sac, 32 seeds": (sac, SACConfig(warmup=200), 32),
    "dsac_t, 32 seeds": (dsac_t, DSACTConfig(warmup=200), 32),
}


def speed(train, config, seeds, env, device):
    """Steps per second of all seeds together."""
    schedule = Schedule(evaluate_every=0, episodes=1, log_every=0)
    spent = []
    for steps in (SHORT, LONG):
        start = time.perf_counter()
        train(env, steps, config=config, seeds=range(seeds), device=device, schedule=schedule)
        spent.append(time.perf_counter() - start)
    return seeds * (LONG - SHORT) / (spent[1] - spent[0])


def distance(device, updates=20):
    """Largest relative distance of SAC's parameters on the device to those on the CPU, after some updates."""
    config, found = SACConfig(), []
    for where in ("cpu", device):
        keys = seed_keys(range(4), where)
        nets = init(config, 17, 6, keys)
        update, _ = make_update(config, nets, keys, 6)
        generator = torch.Generator().manual_seed(0)
        for u in range(updates):
            x, y = (torch.randn(4, 256, 17, generator=generator).to(where) for _ in range(2))
            action = (2 * torch.rand(4, 256, 6, generator=generator) - 1).to(where)
            reward = torch.randn(4, 256, generator=generator).to(where)
            update(Batch(x, action, reward, y, torch.full_like(reward, 0.99)), u)
        found.append(nets.critic.flat.detach().cpu())
    return float((found[0] - found[1]).norm() / found[0].norm())


def periods_per_second(device, seeds=8, batch_size=8192, periods=50):
    """Simulated periods of a store per second of HDPO's training, gradient included, all seeds together."""
    config = HDPOConfig(batch_size=batch_size, periods=periods, samples=1)
    schedule, given, spent = Schedule(evaluate_every=0, log_every=0), setting("lost_sales"), []
    for steps in (5, 10, 60):  # the first makes what is made once
        start = time.perf_counter()
        hdpo(given, steps, config=config, seeds=range(seeds), device=device, schedule=schedule)
        spent.append(time.perf_counter() - start)
    return seeds * batch_size * periods * 50 / (spent[2] - spent[1])


def main():
    parser = arguments(__doc__.splitlines()[0], repeat=1)
    parser.add_argument("--env", default="HalfCheetah-v5", help="environment (%(default)s)")
    parser.add_argument("--device", default="cuda", help="device (%(default)s)")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("no GPU here", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    apart = distance(args.device)
    rows = []
    for name, (train, config, seeds) in CASES.items():
        if args.only in name:
            rate = speed(train, config, seeds, args.env, args.device)
            rows.append([name, number(rate), number(rate / seeds)])
            print(f"  {rows[-1]}", file=sys.stderr)
    card = torch.cuda.get_device_name() if args.device.startswith("cuda") else args.device
    text = table([f"{args.env} on {card}", "seed-steps per second", "steps per second"], rows)
    if args.only in "hdpo":
        rate = number(periods_per_second(args.device))
        text += f"\n\nHDPO, one store, 8 seeds of 8,192 paths: {rate} periods per second, gradient included."
    text += f"\n\nRelative distance of SAC's critics to those on the CPU after 20 updates: {apart:.1e}."
    publish("gpu", text, args.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
