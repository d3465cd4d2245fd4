"""Typed face of ext/hashing.pyx."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

def hash_strings(data: Buffer, offsets: NDArray[np.int64]) -> NDArray[np.uint64]: ...
def hash_words(words: NDArray[np.uint64]) -> NDArray[np.uint64]: ...
