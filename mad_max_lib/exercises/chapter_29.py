"""Chapter 29, orthogonal filters."""

import numpy as np

from . import ask, call, exercise


def _second_rows_off(got, truth):
    if np.allclose([got[1], got[3]], 0):
        return "the line of both rows is right. Which length has each, and does it point back?"
    return "not all are right. What is left of the second row without its part along the first?"


exercise(
    "29.1",
    solution=[5, 0, 1, 0],
    wrong={
        (3, 0, 1, 0): "by Gram-Schmidt the right part is left. How long was the row before?",
        (3, 0, 3, 0): "what is left has the right direction. Which length does each way give it?",
        (5, 0, 5, 0): "both of your rows have one length. Whose lengths does torch's construction keep?",
        (1, 0, 1, 0): "both of your rows have one length. Does Gram-Schmidt, as used here, change lengths?",
        (3, 4, 0.6, 0.8): "your second row still has a product with the first. Which part lies along it?",
        (0, 5, 0, 1): "your second row is parallel to the first. Which part is taken away?",
        (4, -3, 0.8, -0.6): "your second row is orthogonal to its old self. To which row should it be?",
        (1, 0, 5, 0): "are the two ways exchanged? Which of them sets every length to 1?",
    },
    otherwise=_second_rows_off,
    why="The part of (3, 4, 0) along (0, 2, 0) is (0, 4, 0), and (3, 0, 0) is left, of length 3. "
    "Gram-Schmidt stretches it to the old length 5, torch shrinks it to 1.",
)


def rows_with_cosines(V, cosines):
    Q, R = np.linalg.qr(V.T)  # the columns of Q (D, K) are orthonormal
    frame = (Q * np.sign(np.diag(R))).T  # (K, D): Gram-Schmidt of the raw rows, at length 1
    M = np.linalg.cholesky(cosines)  # (K, K), lower triangle, M M^T = cosines
    return np.linalg.norm(V, axis=1, keepdims=True) * (M @ frame)


def _frame(V):
    Q, R = np.linalg.qr(V.T)
    return (Q * np.sign(np.diag(R))).T


def _lengths(V):
    return np.linalg.norm(V, axis=1, keepdims=True)


def _cosines_orthogonal(V, cosines):
    return _lengths(V) * _frame(V)


def _cosines_length_one(V, cosines):
    return np.linalg.cholesky(cosines) @ _frame(V)


def _cosines_upper(V, cosines):
    return _lengths(V) * (np.linalg.cholesky(cosines).T @ _frame(V))


def _cosines_not_a_root(V, cosines):
    return _lengths(V) * (cosines @ _frame(V))


def _cosines_symmetric(V, cosines):
    values, vectors = np.linalg.eigh(cosines)
    return _lengths(V) * ((vectors * np.sqrt(values)) @ vectors.T @ _frame(V))


def _cosines_signs(V, cosines):
    return _lengths(V) * (np.linalg.cholesky(cosines) @ np.linalg.qr(V.T)[0].T)


def _cosines_of_raw_rows(V, cosines):
    return _lengths(V) * (np.linalg.cholesky(cosines) @ (V / _lengths(V)))


def _cosines_stretched_first(V, cosines):
    return np.linalg.cholesky(cosines) @ (_lengths(V) * _frame(V))


def _cosines_off(got, truth, V, cosines):
    if not np.allclose(_lengths(got), _lengths(V)):
        return "not all rows have the length of their raw row. In which order do you mix and stretch?"
    unit = got / _lengths(got)
    if not np.allclose(unit @ unit.T, cosines):
        return "the cosines are not those asked for. What is the Gram matrix of M times orthonormal rows?"
    return "lengths and cosines are right. Which raw rows may row 0 be made of, and with which sign?"


def _wanted(rng, K):
    rows = rng.normal(size=(K, K + 2))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


_rng = np.random.default_rng(0)
exercise(
    "29.2",
    solution=rows_with_cosines,
    cases=[(_rng.normal(size=(K, D)), _wanted(_rng, K)) for K, D in ((2, 3), (4, 4), (5, 9))],
    wrong={
        _cosines_orthogonal: "your rows are orthogonal. Where do the wanted cosines enter?",
        _cosines_length_one: "your rows have length 1. Which lengths should they have?",
        _cosines_upper: "your triangle stands on the wrong side: row 0 is made of all raw rows. "
        "Which of them may it contain?",
        _cosines_not_a_root: "you mix with the cosines themselves. "
        "What is the Gram matrix of M times orthonormal rows?",
        _cosines_symmetric: "lengths and cosines are right, but row 0 has turned. Which shape must M have?",
        _cosines_signs: "some rows point the wrong way. Which signs can the diagonal of R have?",
        _cosines_of_raw_rows: "you mix the raw directions. What must the rows be that M mixes?",
        _cosines_stretched_first: "you stretch the rows before you mix them. "
        "What does this do to the cosines?",
    },
    otherwise=_cosines_off,
)


exercise(
    "29.3",
    solution=[1, 0, 0, 1, 0, 1],
    wrong={
        (1, 1, 0, 1, 0, 1): "statement 2 leaves out the step size. Does row B allow it?",
        (1, 0, 1, 1, 0, 1): "statement 3 says: no change at all. Which changes does row B leave open?",
        (1, 0, 0, 1, 1, 1): "statement 5 is about the step size 0.01. Which row has the control there?",
        (1, 0, 0, 0, 0, 1): "row D has a verdict. Over which range does its interval go?",
        (1, 0, 0, 1, 0, 0): "statement 6 is about the interval of row B. Which numbers lie in it?",
        (0, 0, 0, 1, 0, 1): "statement 1 is modest. Which row does it repeat, and what is its verdict?",
        (0, 1, 1, 0, 1, 0): "are your ones the statements that the table allows?",
    },
    otherwise="not all are right. For each statement, which row is it about, and does that row say as much?",
    why="1 repeats row A. 2 leaves out the step size: at the own step sizes, row B, no gain is shown. "
    "3 takes 'not shown' for 'none': row B leaves up to 1.1 points open. 4 is row D, whose interval lies "
    "within a point of zero. 5 needs the control at the step size 0.01, which no row has. "
    "6 is true: the interval of row B holds both 0 and 1.",
)


def largest_product(filters, stride):
    _, _, h = filters.shape
    largest = 0.0
    for shift in range(0, h, stride):
        products = np.einsum("ich,jch->ij", filters[:, :, shift:], filters[:, :, : h - shift])
        if shift == 0:
            np.fill_diagonal(products, 0)
        largest = max(largest, np.abs(products).max())
    return largest


def _at_shift(filters, shift):
    h = filters.shape[2]
    return np.einsum("ich,jch->ij", filters[:, :, shift:], filters[:, :, : h - shift])


def _off_diagonal(products):
    return np.where(np.eye(len(products), dtype=bool), 0, products)


def _product_flattened(filters, stride):
    return np.abs(_off_diagonal(_at_shift(filters, 0))).max()


def _product_with_itself(filters, stride):
    return max(np.abs(_at_shift(filters, shift)).max() for shift in range(0, filters.shape[2], stride))


def _product_never_itself(filters, stride):
    shifts = range(0, filters.shape[2], stride)
    return max(np.abs(_off_diagonal(_at_shift(filters, shift))).max() for shift in shifts)


def _product_stride_one(filters, stride):
    return largest_product(filters, 1)


def _product_signed(filters, stride):
    shifts = range(0, filters.shape[2], stride)
    found = [_at_shift(filters, shift) if shift else _off_diagonal(_at_shift(filters, 0)) for shift in shifts]
    return max(0.0, *(products.max() for products in found))


def _product_one_way(filters, stride):
    found = [_off_diagonal(_at_shift(filters, 0))]
    found += [np.triu(_at_shift(filters, shift)) for shift in range(stride, filters.shape[2], stride)]
    return max(np.abs(products).max() for products in found)


def _product_next_place(filters, stride):
    found = [_off_diagonal(_at_shift(filters, 0))]
    found += [_at_shift(filters, stride)] if stride < filters.shape[2] else []
    return max(np.abs(products).max() for products in found)


def _product_only_itself(filters, stride):
    found = [_off_diagonal(_at_shift(filters, 0))]
    found += [np.diag(_at_shift(filters, shift)) for shift in range(stride, filters.shape[2], stride)]
    return max(np.abs(products).max() for products in found)


def _product_each_channel(filters, stride):
    channels = range(filters.shape[1])
    return max(largest_product(filters[:, [channel]], stride) for channel in channels)


def _product_of_sizes(filters, stride):
    return largest_product(np.abs(filters), stride)


def _product_short_ring(filters, stride):
    """All rows on a ring of eight places."""
    K, channels, h = filters.shape
    rows = np.zeros((8 // stride, K, channels, 8))
    for place, row in enumerate(rows):
        for t in range(h):
            row[:, :, (place * stride + t) % 8] += filters[:, :, t]
    flat = rows.reshape(-1, channels * 8)
    return np.abs(_off_diagonal(flat @ flat.T)).max()


def _product_across_channels(filters, stride):
    """Each channel of one row with each channel of the other."""
    largest = 0.0
    for shift in range(0, filters.shape[2], stride):
        products = np.einsum("ict,jdt->ij", filters[:, :, shift:], filters[:, :, : filters.shape[2] - shift])
        largest = max(largest, np.abs(products if shift else _off_diagonal(products)).max())
    return largest


def _product_cosine(filters, stride):
    return largest_product(filters / np.sqrt((filters**2).sum(axis=(1, 2), keepdims=True)), stride)


def _product_around(filters, stride):
    """Shifts that go round the filter."""
    largest = 0.0
    for shift in range(0, filters.shape[2], stride):
        products = np.einsum("ich,jch->ij", np.roll(filters, -shift, axis=2), filters)
        largest = max(largest, np.abs(products if shift else _off_diagonal(products)).max())
    return largest


def _product_off(got, truth, filters, stride):
    K, channels, h = filters.shape
    return (
        f"for {K} filters of width {h} on {channels} channels with stride {stride} the largest product is "
        f"{truth:.4f}, and you find {got:.4f}. At which shifts do two rows share places?"
    )


_rng = np.random.default_rng(1)
_ORTHONORMAL = np.linalg.qr(_rng.normal(size=(8, 3)))[0].T.reshape(3, 2, 4)
exercise(
    "29.5",
    solution=largest_product,
    cases=[
        (_ORTHONORMAL, 1),
        (_ORTHONORMAL, 2),
        (_ORTHONORMAL, 4),
        (_rng.normal(size=(1, 1, 5)), 1),
        (np.array([[[1.0, 2.0, 3.0]], [[-2.0, 0.5, 0.1]]]), 3),
        (np.array([[[3.0, 1.0, 0.0, -2.0]]]), 3),
        (np.array([[[3.0, 1.0, 0.0, -2.0]]]), 1),
        (np.array([[[0.0, 0.0, 0.0, 2.0]], [[1.0, 0.0, 0.0, 0.0]]]), 3),
        (np.array([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 2.0]]]), 3),
        (np.array([[[1.0, 0.0, 2.0, 0.0, 1.5]]]), 2),
        (_rng.normal(size=(3, 3, 5)), 2),
        (np.ones((1, 1, 15)), 1),
    ],
    wrong={
        _product_flattened: "you compare the filters at one place only. Which rows do the other places add?",
        _product_with_itself: "a row's product with itself is among yours. Which rows should differ?",
        _product_never_itself: "you leave out a filter with itself at all shifts. "
        "Is a filter at another place the same row?",
        _product_stride_one: "with stride 1 you are right. At which places do rows begin otherwise?",
        _product_signed: "is a product of -2 smaller than one of 1, for this purpose?",
        _product_one_way: "you shift one filter of each pair in one direction. "
        "What of the same pair with the other one ahead?",
        _product_next_place: "you look at the next place only. How many places does a wide filter reach?",
        _product_only_itself: "at other places you compare each filter with itself. "
        "What of two different ones?",
        _product_each_channel: "you take each channel by itself. Over what does a row's product sum?",
        _product_cosine: "those are cosines. Is the length of the filters asked for?",
        _product_of_sizes: "you take absolute values too early. May terms of one sum cancel?",
        _product_short_ring: "your signal is so short that wide filters go round. How long must it be?",
        _product_across_channels: "you multiply one channel with another. "
        "Which numbers of two rows stand at the same place?",
        _product_around: "your shifts go round the filter. What does a row hold beyond its filter?",
    },
    otherwise=_product_off,
)


def _which_count(got, truth):
    names = ("fan-in of A", "room of A", "fan-in of B", "room of B", "fan-in of C", "room of C")
    name = next(name for name, one, other in zip(names, got, truth, strict=True) if one != other)
    if name.startswith("fan-in"):
        return f"the {name} is off. How many numbers does one filter hold, over all its channels?"
    return f"the {name} is off. By how many pixels does a patch move, and in how many directions?"


exercise(
    "29.6",
    solution=[27, 3, 147, 12, 768, 768],
    wrong={
        (27, 1, 147, 4, 768, 256): "your rooms leave out the channels. How many numbers does one place hold?",
        (27, 3, 147, 6, 768, 48): "your rooms are those of a signal. "
        "In how many directions does an image's patch move?",
        (9, 3, 49, 12, 256, 768): "your fan-ins leave out the channels. "
        "How many numbers does one filter hold?",
        (27, 27, 147, 147, 768, 768): "your rooms are the fan-ins. What changes when patches share pixels?",
        (3, 27, 12, 147, 768, 768): "are the fan-in and the room exchanged?",
        (64, 64, 64, 64, 768, 768): "those are the filters that the networks have. "
        "How many are there room for?",
    },
    otherwise=_which_count,
    why="Fan-in: 3 x 3 x 3 = 27, 7 x 7 x 3 = 147 and 16 x 16 x 3 = 768. Room: channels times the squared "
    "stride, 3 x 1 = 3, 3 x 4 = 12 and 3 x 256 = 768. The flattened filters can be orthogonal in "
    "B (64 of 147) and in C (768 of 768), not in A (64 of 27). All rows can be "
    "orthogonal in C only, where the patches "
    "share no pixels; A and B have 64 filters for a room of 3 and of 12.",
)


@exercise("29.7")
def check_29_7(attempt):
    sizes = (2, 2), (3, 3), (4, 2), (5, 4), (2, 5), (3, 1), (8, 3)
    for seed, (channels, width) in enumerate(sizes):
        shape = (channels, channels, width)
        filters = call(attempt, channels, width, seed, shape=shape, like=np.ones(1))
        taps = np.sqrt((filters**2).sum(axis=(0, 1)))  # (width,) how large the numbers at each place are
        where = f"for {channels} channels and width {width}"
        flat = filters.reshape(channels, -1)
        ask(
            taps.min() > 1e-6,
            f"{where} the numbers at place {taps.argmin()} are all 0. Which places does each step fill?",
        )
        ask(
            np.allclose((flat**2).sum(axis=1), 1),
            f"{where} not all filters have length 1. What does each step of yours do to lengths?",
        )
        ask(
            np.allclose(flat @ flat.T, np.eye(channels)),
            f"{where} the flattened filters are not orthogonal. Which products are missing at shift 0?",
        )
        ask(
            largest_product(filters, 1) < 1e-8,
            f"{where} the flattened filters are orthogonal, but rows of two places have the product "
            f"{largest_product(filters, 1):.3f}. What must hold at the shifts 1 to {width - 1}?",
        )
    seeds = 8, 8, 9, 10, 11, 12, 13
    found = [call(attempt, 2, 3, seed, shape=(2, 2, 3), like=np.ones(1)) for seed in seeds]
    ask(np.allclose(found[0], found[1]), "one seed, called twice, gives different filters. Who draws?")
    same = any(np.allclose(one, other) for n, one in enumerate(found[1:]) for other in found[n + 2 :])
    ask(not same, "two seeds give the same filters. Where does chance enter?")
