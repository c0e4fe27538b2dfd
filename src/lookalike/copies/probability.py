"""How probable it is that of two images one is an edited copy of the other, by the score of their comparison.

Fitted by isotonic regression on 142,600 pairs of an edited copy and one of its ten nearest photographs, and 7,130 of a
photograph and one of the ten nearest others of its label (benchmarks/copies.py, 713 photographs, 20 of 33 edits each):
9.3% of these pairs were copies, and the probability holds where about as many are. No photographs of a burst were among
the others. The cosine would tell more between scores of 0.6 and 0.8, but it is of one model, and the score is of none.
"""

import numpy as np

# What was found in bands of scores, at their middles. One copy and one other pair are added to each end, so that
# nothing is certain.
_SCORES = (0.006, 0.293, 0.423, 0.472, 0.523, 0.575, 0.625, 0.677, 0.728, 0.778, 0.826, 0.875)
_PROBABILITIES = (0.0014, 0.0015, 0.0074, 0.0312, 0.1026, 0.313, 0.6374, 0.875, 0.9743, 0.9959, 0.9994, 0.9999)


def copy_probability(score: float) -> float:
    """The probability that two images with a score, in [0, 1], are copies: in (0, 1), rising with the score."""
    return float(np.interp(score, _SCORES, _PROBABILITIES))
