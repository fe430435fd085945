"""Off-policy estimators as their papers write them: one row after the other."""


def rows(data):
    return zip(data.context, data.action, data.reward, data.propensity, strict=True)


def mean(scores):
    scores = list(scores)
    return sum(scores) / len(scores)


def ips(data, pi):
    return mean(pi[x][a] / p * r for x, a, r, p in rows(data))


def snips(data, pi):
    top = sum(pi[x][a] / p * r for x, a, r, p in rows(data))
    return top / sum(pi[x][a] / p for x, a, r, p in rows(data))


def clipped_ips(data, pi, cap):
    return mean(min(cap, pi[x][a] / p) * r for x, a, r, p in rows(data))


def doubly_robust(data, pi, model):
    A = range(len(pi[0]))
    return mean(
        sum(pi[x][b] * model[x][b] for b in A) + pi[x][a] / p * (r - model[x][a]) for x, a, r, p in rows(data)
    )


def switch(data, pi, model, logging, threshold, correct):
    total = []
    for x, a, r, p in rows(data):
        score = 0.0
        for b in range(len(pi[0])):
            trusted = pi[x][b] == 0 or (logging[x][b] > 0 and pi[x][b] / logging[x][b] <= threshold)
            if not trusted or correct:
                score += pi[x][b] * model[x][b]
        if logging[x][a] > 0 and pi[x][a] / logging[x][a] <= threshold:
            score += pi[x][a] / p * (r - (model[x][a] if correct else 0.0))
        total.append(score)
    return mean(total)
