"""The max-affine spline operator, class MASO: K units, each the largest of its R affine pieces."""

from array_api_compat import device

from ..checks import array_namespace, cast, check_finite, check_input, check_parameter


class MASO:
    """K max-affine splines side by side: ``[S(x)]_k = max_r <A[k, r], x> + B[k, r]``.

    Each of the K units holds R affine pieces, evaluates all of them at x and keeps the largest.
    The input is cut into regions by which piece wins; on each region the output is affine in x.
    Works alike on NumPy arrays and torch tensors: results have the type, dtype and device of ``x``.

    Parameters
    ----------
    A : (K, R, D) floating array
        Slopes: ``A[k, r]`` is the gradient of piece r of unit k.
    B : (K, R) floating array
        Offsets: ``B[k, r]``; ``-inf`` marks an absent piece, which never wins.

    Raises
    ------
    TypeError
        Not arrays, not floating, or NumPy and torch mixed.
    ValueError
        Shapes that disagree, an empty axis, NaN or infinity, or a unit without any piece.

    Notes
    -----
    Ties go to the lowest piece. Source: Balestriero and Baraniuk, *Mad Max*, definition of the MASO.

    Examples
    --------
    The absolute value is the larger of -x and x:

    >>> import numpy as np
    >>> absolute = MASO(A=np.array([[[-1.0], [1.0]]]), B=np.zeros((1, 2)))
    >>> absolute(np.array([[-3.0], [2.0]]))
    array([[3.],
           [2.]])
    >>> absolute.codes(np.array([[-3.0], [2.0]]))
    array([[0],
           [1]])

    Built in chapters 01 and 03.
    """

    def __init__(self, A, B):
        xp = array_namespace(A=A, B=B)
        check_parameter("A", A, "K", "R", "D")
        check_parameter("B", B, *A.shape[:2], absent=True)
        empty = xp.all(B == -float("inf"), axis=1)
        if empty.any():
            unit = int(xp.nonzero(empty)[0][0])
            raise ValueError(f"B marks all pieces of unit {unit} as absent (-inf); a unit needs at least one")
        self.A, self.B = A, cast(B, A)

    def __repr__(self):
        K, R, D = self.A.shape
        return f"MASO with K={K} units of R={R} pieces on D={D} inputs"

    def scores(self, x):
        """Value of every piece of every unit: (N, K, R), for x of shape (N, D)."""
        K, R, D = self.A.shape
        x = check_input(x, self.A, "N", D)
        A, B = cast(self.A, x), cast(self.B, x)
        scores = (x @ A.reshape(K * R, D).T).reshape(-1, K, R) + B
        if not (array_namespace(x=x).isfinite(scores) | (scores == B)).all():  # equal: -inf, an absent piece
            raise ValueError(f"x is too large: <A[k, r], x> + B[k, r] must be finite, it overflows {x.dtype}")
        return scores

    def codes(self, x):
        """Index of the winning piece of every unit: (N, K) integers; ties go to the lowest."""
        scores = self.scores(x)
        return array_namespace(scores=scores).argmax(scores, axis=2)

    def __call__(self, x):
        """The output, the largest score of every unit: (N, K)."""
        scores = self.scores(x)
        xp = array_namespace(scores=scores)
        N, K, _ = scores.shape
        points, units = xp.arange(N, device=device(x))[:, None], xp.arange(K, device=device(x))
        return scores[points, units, xp.argmax(scores, axis=2)]  # xp.max would split the gradient at ties

    def slopes(self, x):
        """The matrix A[x] that x is multiplied by, row k from unit k's winner: (N, K, D)."""
        return self._of_winners(self.A, x)

    def offsets(self, x):
        """The vector B[x] that is added: (N, K), so that ``A[x] x + B[x]`` is the output."""
        return self._of_winners(self.B, x)

    def _of_winners(self, parameter, x):
        x = check_input(x, self.A, "N", self.A.shape[2])
        units = array_namespace(x=x).arange(self.A.shape[0], device=device(x))
        return cast(parameter, x)[units, self.codes(x)]

    def after(self, W, b):
        """The MASO of ``x -> maso(W x + b)``: an affine step in front is absorbed into the pieces.

        Parameters
        ----------
        W : (D, D_in) floating array
        b : (D,) floating array

        Returns
        -------
        MASO with slopes ``A[k, r] @ W`` and offsets ``B[k, r] + A[k, r] @ b``

        Examples
        --------
        >>> import numpy as np
        >>> from mad_max_lib.splines.operators import relu
        >>> layer = relu(2).after(W=np.array([[1.0], [-1.0]]), b=np.array([0.0, 1.0]))
        >>> layer(np.array([[3.0]]))
        array([[3., 0.]])
        """
        array_namespace(A=self.A, W=W, b=b)
        check_parameter("W", W, self.A.shape[2], "D_in")
        check_parameter("b", b, self.A.shape[2])
        shift = self.A @ cast(b, self.A)
        check_finite("A[k, r] @ b", shift)  # -inf would read as an absent piece
        return MASO(self.A @ cast(W, self.A), self.B + shift)
