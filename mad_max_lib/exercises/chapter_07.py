"""Chapter 07, affine maps of CNNs, residual and recurrent networks."""

import time

import numpy as np

from . import ask, call, close, exercise


def pooled_gates(q, winners):
    Q = np.zeros((len(winners), len(q)))
    Q[np.arange(len(winners)), winners] = q[winners]
    return Q


def _pooled_without_gates(q, winners):
    return np.eye(len(q))[winners]


def _pooled_gates_alone(q, winners):
    return np.tile(q, (len(winners), 1))


def _pooled_every_row(q, winners):
    Q = np.zeros((len(winners), len(q)))
    Q[:, winners] = q[winners]
    return Q


def _pooled_first_gates(q, winners):
    return np.eye(len(q))[winners] * q[: len(winners), None]


_windows = [
    (np.array([0.0, 1, 1, 0, 0, 0, 1, 0]), np.array([1, 4, 6])),
    (np.array([1.0, 0, 1, 1]), np.array([3, 0])),
]


@exercise(
    "7.1",
    solution=pooled_gates,
    cases=_windows,
    wrong={
        _pooled_without_gates: "this is the pooling alone, P. "
        "What should stand in the row of a window whose winner's gate is closed?",
        _pooled_every_row: "each of your rows has the winners of all windows. "
        "How does one set one entry in each row?",
        _pooled_gates_alone: "each of your rows holds all gates. "
        "How many units does one pooled number take its value from?",
        _pooled_first_gates: "row j is multiplied by gate number j of all the units. "
        "Whose gate belongs to window j?",
    },
    otherwise=lambda got, truth, q, winners: (
        f"for the gates {q.astype(int).tolist()} and the winners {winners.tolist()} the matrix has other "
        "entries. What does its row j do to the numbers of all units?"
    ),
)
def check_7_1(attempt):
    q, winners = _windows[0]
    call(attempt, q, winners, shape=(len(winners), len(q)), like=q, may_be_nan=True)


def preactivation_block(z, W_1, b_1, W_2, b_2):
    q_1 = (z > 0).astype(float)
    q_2 = (W_1 @ np.maximum(z, 0) + b_1 > 0).astype(float)
    branch = W_2 @ np.diag(q_2) @ W_1 @ np.diag(q_1)
    return branch + np.eye(len(z)), W_2 @ (q_2 * b_1) + b_2


def _pre_no_skip(z, W_1, b_1, W_2, b_2):
    A, b = preactivation_block(z, W_1, b_1, W_2, b_2)
    return A - np.eye(len(z)), b


def _pre_gated_skip(z, W_1, b_1, W_2, b_2):
    A, b = preactivation_block(z, W_1, b_1, W_2, b_2)
    return A - np.diag(1.0 * (z <= 0)), b


def _pre_one_relu(z, W_1, b_1, W_2, b_2):
    Q_2 = np.diag(1.0 * (W_1 @ z + b_1 > 0))
    return W_2 @ Q_2 @ W_1 + np.eye(len(z)), W_2 @ Q_2 @ b_1 + b_2


def _pre_second_gates_from_z(z, W_1, b_1, W_2, b_2):
    Q_1, Q_2 = np.diag(1.0 * (z > 0)), np.diag(1.0 * (W_1 @ z + b_1 > 0))
    return W_2 @ Q_2 @ W_1 @ Q_1 + np.eye(len(z)), W_2 @ Q_2 @ b_1 + b_2


def _pre_open_offset(z, W_1, b_1, W_2, b_2):
    return preactivation_block(z, W_1, b_1, W_2, b_2)[0], W_2 @ b_1 + b_2


def _pre_first_offset_only(z, W_1, b_1, W_2, b_2):
    A, b = preactivation_block(z, W_1, b_1, W_2, b_2)
    return A, b - b_2


def _pre_skip_of_ones(z, W_1, b_1, W_2, b_2):
    A, b = preactivation_block(z, W_1, b_1, W_2, b_2)
    return A - np.eye(len(z)) + 1, b


def _pre_relu_of_offset(z, W_1, b_1, W_2, b_2):
    return preactivation_block(z, W_1, b_1, W_2, b_2)[0], W_2 @ np.maximum(b_1, 0) + b_2


def _pre_gated_relu_of_offset(z, W_1, b_1, W_2, b_2):
    q_2 = W_1 @ np.maximum(z, 0) + b_1 > 0
    return preactivation_block(z, W_1, b_1, W_2, b_2)[0], W_2 @ (q_2 * np.maximum(b_1, 0)) + b_2


def _pre_upper_tie(z, W_1, b_1, W_2, b_2):
    Q_1 = np.diag(1.0 * (z >= 0))
    Q_2 = np.diag(1.0 * (W_1 @ np.maximum(z, 0) + b_1 >= 0))
    return W_2 @ Q_2 @ W_1 @ Q_1 + np.eye(len(z)), W_2 @ Q_2 @ b_1 + b_2


_rng = np.random.default_rng(1)
_z, _b_1, _b_2 = _rng.normal(size=(3, 5))
_W_1, _W_2 = _rng.normal(size=(2, 5, 5))
exercise(
    "7.2",
    solution=preactivation_block,
    cases=[(_z, _W_1, _b_1, _W_2, _b_2), (np.array([0.0, 1, -1, 2, 0]), _W_1, _b_1, _W_2, _b_2)],
    wrong={
        _pre_no_skip: "the branch is right. What else does the block add to its output?",
        _pre_gated_skip: "your skip stops where z is negative. Does the skip pass a ReLU in this block?",
        _pre_one_relu: "one ReLU has no gates in your formula. What happens to z before the first matrix?",
        _pre_second_gates_from_z: "the gates of the second ReLU are not those of this block. "
        "What is it that W_1 multiplies here?",
        _pre_open_offset: "the matrix is right, and the constant is that of a block with all gates open. "
        "What does the first bias have to pass?",
        _pre_first_offset_only: "the matrix is right, and one constant is missing. Which bias is added last?",
        _pre_skip_of_ones: "the branch is right, and your skip adds 1 to each of its entries. "
        "Which matrix leaves every z as it is?",
        _pre_relu_of_offset: "the matrix is right, and your vector has the ReLU of b_1. "
        "Does the second ReLU act on b_1 alone, and what decides its gates?",
        _pre_gated_relu_of_offset: "the matrix is right. In your vector b_1 passes gates and loses its "
        "negative entries too. Does an open gate do that to a number?",
        _pre_upper_tie: "where the input of a ReLU is exactly 0, your gate is 1. "
        "Which gate does the text give it?",
    },
    otherwise=lambda got, truth, *case: (
        "the matrix is right, the vector is not. Which of the two biases is added where, and what follows it?"
        if close(got[0], truth[0])
        else "the vector is right, the matrix is not. What does z meet on each of its two ways to the output?"
        if close(got[1], truth[1])
        else "neither the matrix nor the vector is the block's. "
        "What are they if both ReLUs are left out, and where do the gates come in?"
    ),
)


exercise(
    "7.3",
    solution=15,
    wrong={
        64: "that counts all paths. How many of them take exactly two branches?",
        30: "you count each pair of blocks twice. Does a path pass block 2 before block 1?",
        12: "that is two ways through each of six blocks, added up. "
        "Are the choices made one by one or together?",
        36: "you let each branch be any of the six. Can a path take one of them twice?",
    },
    otherwise="draw six blocks and mark two. In how many ways can this be done?",
    why="A path is a set of blocks whose branch is taken, "
    "and there are 6 * 5 / 2 = 15 sets of two blocks out of six.",
)


def _random_blocks(widths, rng):
    """Blocks (Q, W, b, W_skip) between these widths, gates at random, and a head of three rows."""
    blocks = []
    for D, K in zip(widths, widths[1:], strict=False):
        Q = np.diag((rng.random(K) < 0.6).astype(float))
        W, W_skip = rng.normal(size=(2, K, D)) / np.sqrt(D)
        blocks.append((Q, W, rng.normal(size=K), W_skip))
    return blocks, rng.normal(size=(3, widths[-1]))


def _all_at_once(blocks, W_head, t=1.0, gated=True):
    """The product of all factors, with the branches multiplied by t."""
    product = W_head
    for Q, W, _, W_skip in reversed(blocks):
        product = product @ (t * (Q @ W if gated else W) + W_skip)
    return product


@exercise("7.4")
def check_7_4(attempt):
    rng = np.random.default_rng(4)
    for widths in ([4, 4, 4, 4], [5, 3, 4], [3] * 17, [3] * 21, [3] * 41):
        blocks, W_head = _random_blocks(widths, rng)
        n, D = len(blocks), widths[0]
        start = time.process_time()
        got = call(attempt, blocks, W_head, shape=(n + 1, 3, D), like=W_head)
        ask(  # half a second for all paths of 16 blocks one by one, or of 20 in one array
            n not in (16, 20) or time.process_time() - start < 0.1,
            f"for {n} blocks your version takes long, and it is tried on 40. "
            "By what does the number of your products grow with each block?",
        )
        total, whole = got.sum(0), _all_at_once(blocks, W_head)
        ask(
            not close(total, _all_at_once(blocks, W_head, gated=False)),
            f"for {n} blocks your matrices add up to those of a network without ReLUs. "
            "Where do the gates come in?",
        )
        ask(
            close(total, whole),
            f"for {n} blocks your matrices add up to something else than A[x] "
            f"(off by {np.abs(total - whole).max():.1f}). Is every path in exactly one of the sums, "
            "and are its factors in the right order?",
        )
        ask(
            close(got[0], _all_at_once(blocks, W_head, 0.0)),
            f"for {n} blocks the sum is right, but matrix number 0 depends on the branches. "
            "Which paths belong to number 0?",
        )
        for t in (-0.5, 0.7):
            scaled = np.tensordot(t ** np.arange(n + 1), got, 1)
            ask(
                close(scaled, _all_at_once(blocks, W_head, t)),
                f"for {n} blocks the sum and matrix number 0 are right. "
                f"If all branches are multiplied by {t}, what happens to your matrix number k?",
            )


def memory(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = gate[:, None] * (W_rec @ M)
    return M


def _memory_reversed(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = M @ (gate[:, None] * W_rec)
    return M


def _memory_one_more(W_rec, gates, t):
    return memory(W_rec, gates, t - 1)


def _memory_one_less(W_rec, gates, t):
    return memory(W_rec, gates, t + 1)


def _memory_no_gates(W_rec, gates, t):
    return np.linalg.matrix_power(W_rec, len(gates) - t)


def _memory_gates_on_columns(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = gate * (W_rec @ M)
    return M


def _memory_gate_first(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = W_rec @ (gate[:, None] * M)
    return M


_W_rec = np.random.default_rng(2).normal(size=(3, 3))
_steps = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
exercise(
    "7.5",
    solution=memory,
    cases=[(_W_rec, _steps, t) for t in (5, 4, 2)],
    wrong={
        _memory_one_more: "from the last step to the last step something still happens in your version. "
        "Where does your product begin?",
        _memory_one_less: "between the last two steps nothing happens in your version. "
        "Which steps lie after step t?",
        _memory_no_gates: "this is a power of W_rec, the same for all inputs. Where do the gates come in?",
        _memory_reversed: "the right factors stand in the wrong order. Which of them meets the state first?",
        _memory_gate_first: "each step's gates multiply the columns of W_rec, so they act before it. "
        "What does a ReLU act on?",
        _memory_gates_on_columns: "each step's gates multiply the columns of your product. "
        "Along which axis of a matrix does NumPy lay out a vector, and which should your gates multiply?",
    },
    otherwise=lambda got, truth, W_rec, gates, t: (
        f"the product is off for t = {t} of {len(gates)} steps. "
        "Which factors should it have there, in which order, and what does each do to a column of the next?"
    ),
)
