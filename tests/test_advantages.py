import numpy as np

from fdjax.batches.advantages import advantages, overlong, zero_variance

REWARDS = np.array([[1, 0, 0, 1], [1, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1.0]])
VALID = np.ones((5, 4), bool)
VALID[1, 3] = VALID[2, 3] = False  # timeouts: with them the rewards of both groups would differ
VALID[3] = [False, True, True, True]


def test_advantages():
    np.testing.assert_allclose(
        advantages(REWARDS, VALID),
        [[0.5, -0.5, -0.5, 0.5], [0] * 4, [0] * 4, [0, 2 / 3, -1 / 3, -1 / 3], [0] * 4],
        rtol=1e-6,
    )
    scaled = advantages(REWARDS, VALID, use_std=True)
    np.testing.assert_allclose(scaled[3, 1:].std(ddof=1), 1, rtol=1e-3)
    np.testing.assert_array_equal(scaled[1], 0)


def test_zero_variance_groups():
    assert zero_variance(REWARDS, VALID).tolist() == [False, True, True, False, True]
    assert zero_variance(np.array([[0.0, 0.25]]), np.array([[True, True]])).tolist() == [False]


def test_a_group_without_a_verdict():
    rewards, nothing = np.ones((1, 3)), np.zeros((1, 3), bool)
    np.testing.assert_array_equal(advantages(rewards, nothing, use_std=True), 0)
    assert zero_variance(rewards, nothing).all()


def test_overlong_penalty():
    """DAPO's figure: none up to the buffer, then down to -1 along it."""
    penalty = overlong(np.array([1, 80, 81, 90, 100]), budget=100, buffer=20)
    np.testing.assert_allclose(penalty, [0, 0, -0.05, -0.5, -1])
