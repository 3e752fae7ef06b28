"""Text that ends a sample, found on the device while it is sampled.

The text of a response is the bytes of its tokens, one after the other. So the search for a string
in it is a finite automaton over token ids: its state is how many bytes of the string the response
ends with, as in the search of Knuth, Morris and Pratt. A token may hold the string's end and more
behind it, or only a part of it.
"""

import functools

import numpy as np

from fdjax.models.tokenizer import Tokenizer


@functools.lru_cache(maxsize=4)
def until_table(tokenizer: Tokenizer, until: str, vocabulary: int) -> np.ndarray:
    """[L, V]: the next state, by state and token id, of the smallest dtype that holds L, the number
    of bytes of `until`. The first state is 0. State L: the text now contains `until`, and did not
    before this token.

    `vocabulary` is the model's; ids without a token have no text.
    """
    automaton = _automaton(until.encode())
    count = min(vocabulary, tokenizer.vocab_size)
    texts = tokenizer.token_bytes(range(count)) + [b""] * (vocabulary - count)
    lengths = np.array([len(text) for text in texts])
    padded = np.array([text.ljust(lengths.max(), b"\0") for text in texts])
    bytes_VN = padded.view(np.uint8).reshape(vocabulary, -1)
    size = len(automaton) - 1
    states_LV = np.repeat(np.arange(size, dtype=automaton.dtype)[:, None], vocabulary, axis=1)
    for place in range(lengths.max()):
        longer = np.flatnonzero(lengths > place)
        states_LV[:, longer] = automaton[states_LV[:, longer], bytes_VN[longer, place]]
    return states_LV


def _automaton(text: bytes) -> np.ndarray:
    """[L + 1, 256]: the next state, by state and byte. State L is final.

    A byte that does not continue the match leads where it leads from a shorter state: that of the
    longest proper suffix of the matched bytes that is also a prefix of `text`.
    """
    size = len(text)
    table = np.zeros((size + 1, 256), np.min_scalar_type(size))
    table[0, text[0]] = 1
    shorter = 0  # the state that the text from its second byte on leads to
    for state in range(1, size):
        table[state] = table[shorter]
        table[state, text[state]] = state + 1
        shorter = table[shorter, text[state]]
    table[size] = size
    return table
