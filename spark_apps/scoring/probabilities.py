"""The type of predictions, shared by the scorer, its cache and its self-check."""

import numpy as np
from numpy.typing import NDArray

# Shape (n, 3): one row per text, one column per label in the order of LABELS; each row sums to 1.
Probabilities = NDArray[np.float32]
