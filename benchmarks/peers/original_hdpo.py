"""The code published with HDPO (github.com/MatiasAlvo/Neural_inventory_control), driven as by its script.

It has no package: its folder is the path of this peer. ``gap`` trains its network for one store, lost sales,
with its settings, and asks after every epoch for the exact gap of the rounded policy; only training counts.
``epoch`` is one epoch of its graph network.
"""

import os
import sys
import time
from collections import defaultdict
from pathlib import Path

from worker import Once, serve

FOLDER = os.environ.get("PYTHONPATH", "")


def about():
    sys.path.insert(0, FOLDER)
    import torch
    import trainer  # noqa: F401

    torch.set_num_threads(1)
    return {"HDPO's code": "4d77c14", "torch": torch.__version__}


def prepared(settings, hyperparameters, changes):
    """What the main script makes of its two files."""
    import torch
    import yaml
    from environment import DataLoader, DatasetCreator, NeuralNetworkCreator, Scenario, Simulator
    from trainer import Trainer

    folder = Path(FOLDER, "config_files")
    config = yaml.safe_load((folder / "settings" / f"{settings}.yml").read_text())
    hyper = yaml.safe_load((folder / "policies_and_hyperparams" / f"{hyperparameters}.yml").read_text())
    changes(config, hyper)
    observation = defaultdict(lambda: None, config["observation_params"])
    train = config["params_by_dataset"]["train"]
    scenario = Scenario(
        periods=train["periods"],
        problem_params=config["problem_params"],
        store_params=config["store_params"],
        warehouse_params=config["warehouse_params"],
        echelon_params=config["echelon_params"],
        num_samples=train["n_samples"],
        observation_params=observation,
        seeds=config["seeds"],
    )
    dataset = DatasetCreator().create_datasets(scenario, split=False)
    torch.manual_seed(0)
    loader = DataLoader(dataset, batch_size=train["batch_size"], shuffle=True)
    model = NeuralNetworkCreator().create_neural_network(scenario, hyper["nn_params"], device="cpu")
    return config, hyper, observation, loader, model, Simulator(device="cpu"), Trainer(device="cpu")


def epoch_of(parts):
    """Return a function that runs one epoch of training."""
    import torch
    from loss_functions import PolicyLoss

    config, hyper, observation, loader, model, simulator, trainer = parts
    train, made = config["params_by_dataset"]["train"], {}

    def epoch():
        if not made:  # its lazy layers have parameters after a first pass, as in its own notebooks
            with torch.no_grad():
                batch = next(iter(loader))
                trainer.simulate_batch(
                    PolicyLoss(), simulator, model, 1, config["problem_params"], batch, observation, 0, False
                )
            rate = hyper["optimizer_params"]["learning_rate"]
            made["adam"] = torch.optim.Adam(model.parameters(), lr=rate)
        return trainer.do_one_epoch(
            made["adam"], loader, PolicyLoss(), simulator, model, train["periods"], config["problem_params"],
            observation, train=True, ignore_periods=train["ignore_periods"],
        )  # fmt: skip

    return epoch


def run(problem, method, lead_time=4, penalty=9.0, target=1.0, stores=50, batch_size=1024, lr=0.01):
    import torch

    if method == "epoch":

        def changes(config, hyper):
            config["problem_params"]["n_stores"] = stores
            config["params_by_dataset"]["train"] |= {"n_samples": 256, "batch_size": 256}
            config["store_params"]["lead_time"]["range"] = [2, 6]

        epoch = epoch_of(prepared("one_warehouse_lost_demand", "gnn", changes))
        epoch()

        def call(i):
            start = time.process_time()
            epoch()
            return time.process_time() - start

        return call, lambda seconds: {"epoch": seconds}

    def changes(config, hyper):
        config["store_params"]["lead_time"]["value"] = lead_time
        config["store_params"]["underage_cost"]["value"] = penalty
        config["params_by_dataset"]["train"] |= {"batch_size": batch_size}
        hyper["optimizer_params"]["learning_rate"] = lr
        hyper["nn_params"]["neurons_per_hidden_layer"]["master"] = [32, 32]

    from eluder.envs.inventory import Poisson, lost_sales_optimum, store_policy_cost

    law, costs = Poisson(5.0), {"lead_time": lead_time, "penalty": penalty}
    best, parts = lost_sales_optimum(law, **costs), prepared("one_store_lost", "vanilla_one_store", changes)
    epoch, model = epoch_of(parts), parts[4]

    def orders(states):
        with torch.no_grad():
            x = torch.as_tensor(states, dtype=torch.float32)[:, None]
            return model({"store_inventories": x})["stores"][:, 0, 0].round().long().numpy()

    def train():
        spent, curve = 0.0, []
        while spent < 900 and (not curve or curve[-1][1] > target):
            start = time.process_time()
            epoch()
            spent += time.process_time() - start
            curve.append([spent, 100 * (store_policy_cost(orders, law, **costs) / best - 1)])
        return curve

    return Once(train), lambda curve: {"curve": curve}


serve(about, run)
