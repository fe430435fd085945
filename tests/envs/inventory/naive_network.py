"""One period of a network in plain Python: parcels in a list, one unit of bookkeeping at a time."""

import math


def naive_period(network, x, q, d, b=0):
    """Return next state, shipments, shortages, cost of sample b; x is (M, L), q (E,), d (n,)."""

    def of(a):
        return a[b] if a.ndim == 2 else a

    h, p, lead, unit = of(network.holding), of(network.penalty), of(network.lead_time), of(network.unit_cost)
    M, L, W = len(x), len(x[0]), len(network.warehouses)
    integer = network.orders == "integer"
    want = []
    for e in range(len(q)):
        cap = network.capacity[e]
        if integer:
            want.append(min(round(q[e]), cap if math.isinf(cap) else math.floor(cap)))
        else:
            want.append(min(q[e], cap))
    sent = [float(w) for w in want]
    for i in range(W):
        mine = [e for e in range(len(q)) if network.source[e] == i]
        has = x[i][0]
        total = sum(want[e] for e in mine)
        asked = {e: want[e] for e in mine}
        if not network.holds[i]:
            if total == 0:
                asked = dict.fromkeys(mine, 1)
                total = len(mine)
        elif total <= has:
            continue
        before = 0
        for e in mine:
            if total == 0:
                sent[e] = 0.0
            elif integer:
                sent[e] = float(
                    math.floor((before + asked[e]) * has / total) - math.floor(before * has / total)
                )
            else:
                sent[e] = asked[e] * has / total
            before += asked[e]
    cost = 0.0
    on_hand, short = [], []
    x = [list(row) for row in x]
    for e in range(len(q)):
        if lead[e] == 0:
            x[network.target[e]][0] += sent[e]
    for i in range(M):
        if i < W:
            y = max(x[i][0] - sum(s for s, e in zip(sent, range(len(q))) if network.source[e] == i), 0.0)
            cost += h[i] * y
        else:
            k = i - W
            y = x[i][0] - d[k]
            short.append(-y if y < 0 else 0.0)
            cost += h[i] * max(y, 0.0)
            cost += p[k] * short[-1] if network.objective == "cost" else -p[k] * min(x[i][0], d[k])
            if network.unmet == "lost" and y < 0:
                y = 0.0
        on_hand.append(y)
    for e in range(len(q)):
        cost += unit[e] * sent[e] + (network.fixed_cost[e] if sent[e] > 1e-4 else 0.0)
    parcels = [(i, j - 1, x[i][j]) for i in range(M) for j in range(1, L)]
    parcels += [(int(network.target[e]), int(lead[e]) - 1, sent[e]) for e in range(len(q)) if lead[e] > 0]
    nxt = [[0.0] * L for _ in range(M)]
    for i in range(M):
        nxt[i][0] = on_hand[i]
    for i, j, units in parcels:
        nxt[i][j] += units
    return nxt, sent, short, cost
