"""The guide's table of what students get wrong: each row is a registered mistake, and hears its question."""

import re

import numpy as np
import pytest
from exercises import credit
from test_back_matter import markdown, rows

from mad_max_lib.exercises import all_exercises, verdict

# In the guide's order: what somebody thinks, in the guide's words; the mistake that follows from it, by its
# name or the value itself, among those of the exercise that the row links to; words of the question it hears.
MISTAKES = {
    "a line is visible only if it is highest at one of the places where one looks":
        ("_visible_on_a_grid", "win on a very short interval?"),
    "the offset of a tangent is the height of the curve": ("_tangents_height_as_offset", "as the offset"),
    "a point belongs to the closest line": ((0, 1, 0, 2, 1, 2), "the lines closest to the points"),
    "a spline through the data at the knots is the best one":
        ("_even_interpolated", "Do all other points have a say"),
    "a score is already a maximum": ("_scores_clipped", "Is a score already a maximum?"),
    "an affine map before a maximum changes the slopes but not the offsets":
        ("_skip_no_bias", "the offsets have not changed"),
    "a dead gate still passes the derivative": ("_ungated", "those of a network without ReLUs"),
    "Adam's running means need no correction in the first steps":
        ("_adam_uncorrected", "m and v began at zero"),
    "a closed gate lets the bias pass": ("_affine_bias_ungated", "Does a closed gate let a bias pass?"),
    "four lines in the plane make 2 to the 4 regions": (16, "Can every combination of sides be met"),
    "$b[x]$ is what the network puts out at zero": ("_held_free", "what the free network gives at zero"),
    "the influence of the past is a power of one matrix": ("_memory_no_gates", "a power of W_rec"),
    "a convex unit keeps an output convex wherever it stands": ((1, 1, 1, 0, 1, 0, 0), "you count network 3"),
    "the weight of a ReLU is the slope to the right of its knot":
        ((2, -1, -0.5), "your numbers are the slopes"),
    "half the error costs a table the same factor for any number of inputs":
        ((1.414, 1.414, 4), "Your others are those of one axis"),
    "the local norm bounds what happens beyond the region": ("_radius_local", "beyond the border"),
    "a pulse is found once its mean reaches the threshold, so 1.645 widths suffice":
        (3.29, "the mean with the pulse lies exactly at the threshold"),
    "the best detector is always an inner product": ("_laplace_inner_product", "this is an inner product"),
    "a template in correlated noise is largest where the noise is strongest":
        ("_whitened_blackened", "largest where the noise is strongest"),
    "the template sits where the signal is largest":
        ((0, 0, 2, 1, -1), "you took the place of the largest sample"),
    "each offset is removed by itself, whatever the other rows do":
        ("_origin_row_by_row", "the rows move each other's offsets"),
    "maps in opposite order are alike": ("_alike_in_size", "Where does the sign get lost?"),
    "a wrong answer's best template is zero": ((6**0.5, 0, 0), "your wrong templates are zero"),
    "a point may be its own mate": ("_mates_own_too", "Is x[n] among its own mates?"),
    "opposite rows have a negative overlap": ((0, -2, 2), "an overlap came out negative"),
    "the penalty only turns the rows": (1.0, "the length at the start"),
    "pairs may be compared as if they were strangers": ("interval", "runs which are not paired"),
    "half the width of an interval costs twice the pairs": ("pairs", "spread of a mean fall with S?"),
    "a choice may use the test set if all arms do": ((0, 1, 0, 1, 0, 1, 0, 0), "what chose it?"),
    "a line that only touches a corner cuts the polygon": ("<lambda>", "only touches, and you cut"),
    "n lines always make 1 + n + n(n - 1)/2 regions": (37, "need lines in general position"),
    "a unit of layer 2 is zero along a straight line": ((-0.5, 0.5, 1.5), "your line is straight"),
    "an affine function on a polygon is largest in the middle":
        ("_largest_in_the_middle", "Is the middle of a polygon"),
    "the map of the input's own region gives the distance to the decision":
        ((0.1, 0.3), "Is a segment of another region nearer?"),
    "a segment is as near as its line": ("attempt", "Does a segment end where its line is nearest"),
    "without biases a larger square shows more regions": ((151, 12, 4600), "if x is doubled"),
    "distances in a plane through three images are distances of images, whatever the directions":
        ("_axes_not_orthogonal", "What is it for vectors at a right angle?"),
    "k-means++ takes the farthest point": ("_seeding_farthest_point", "always the same point is drawn"),
    "the inner product alone finds the nearest centroid": ((2, 1, 2, 2), "have the largest inner product"),
    "the offset is the square of the length, not half of it":
        ("_quantize_full_squares", "Which share of the square is the offset?"),
    "the two closest centroids cost least to merge": ("merge_two_closest", "are the two closest centroids"),
    "a wall of a power diagram stands half-way between its sites": ("_wall_halfway", "halfway is right if"),
    "a piece that ties for the largest score somewhere has a region":
        ([1, 1, 1, 0, 1], "would the piece with site -1 beat both"),
    "the weight of a layer's site is the sum of its units' weights":
        ("_weights_of_units", "Is the square of a sum the sum of the squares?"),
    "borders behind count as borders ahead": ("_way_both_directions", "stop at the border on the left"),
    "pieces are numbers, so 3 is farther from 0 than from 2": ("_as_numbers", "numbers or names?"),
    "twice the units, half the spread": (18, "How does the number of units enter"),
    "the units that differ at the ends are all that change on the way":
        ("crossings_of_the_ends", "change twice each on the way"),
    "each point is its own nearest neighbour, so the first may be dropped":
        ("_agreement_without_the_first", "Is a point always the first in its own row?"),
    "a step size may be chosen by the score that is reported":
        ("_rate_by_the_score", "your rate has the largest score"),
    "what holds at two step sizes holds at every one": ((1, 1, 0, 1), "statement 2 speaks of all columns"),
    "each point has one copy": ("_pairs_one_a_row", "May a point of a stand in several pairs?"),
    "the distance belongs to the function": ((0.25, 0.5, 0.25, 0.5), "your distances have not changed"),
    "the transpose undoes a matrix": ("_transposed", "the transpose is the inverse only of"),
    "a unit that is off tells nothing": ("_zeros_for_off", "What does the bit 0 say"),
    "the walls hold only for the centre of the ball":
        ("_walls_only_for_the_centre", "Do the walls hold only for the centre?"),
    "each kept photon must reach the wanted purity by itself":
        ("_collect_each", "may be kept if others make up for it"),
    "the bias alone is the prior": ((-6.0, -1.5), "the bias alone is not the prior"),
    "new priors multiply the posteriors, the old ones may stay":
        ("_reweigh_only_new", "Which prior is already contained"),
    "a star that loses its own place has no region":
        ("goes_out_at_home", "Must a component win there to have a region?"),
    "each point belongs to one component": ("_maximise_hard", "you give each point to one component alone"),
    "the gap of a group is the calibration error within it":
        ("_gaps_as_calibration", "that is the calibration error within each group"),
    "when the input moves, the posterior weights stay":
        ("_derivative_held", "When x moves, do the weights stay?"),
    r"$\beta$ is the slope inside the swish": ((0.5, 0.8, 0.99, 3.0), "you give beta back"),
    "two units with the same maximum are equally soft":
        ((1.0, 2 / (1 + np.exp(-2)), 2.0), "that is the unit with the pieces 0 and u"),
    "betas can be folded wherever they stand, also without a weight behind them":
        ((1, 1, 1, 1, 1, 1), "In which does a unit lack weights on its output?"),
    "a step size may be chosen by the test accuracy": ("_select_by_test", "May test points choose?"),
    "a network with rescaled weights trains as before with the same step sizes":
        ((1, 1, 1), "with one step size for all the two networks part"),
    "each pair of units counts twice in a joint score":
        ("_joint_twice", "Does the sum run over pairs or over ordered pairs?"),
    "the posterior is a product only if all slopes of different units are orthogonal":
        ((2, 0, 2, 0, 2, 0, 0), "you ask for orthogonal slopes"),
    "what helps at one step size helps": ((1, 1, 0, 1, 0, 1), "statement 2 leaves out the step size"),
    "orthogonal filters make orthogonal rows of a convolution":
        ("_product_flattened", "Which rows do the other places add?"),
}  # fmt: skip

PAGE = "\n".join(markdown("instructor_guide"))
TABLE = rows(re.search(r"^## What students get wrong$(.*?)^## ", PAGE, re.M | re.S)[1])[1:]  # less its head
GUIDE = [(words, re.match(r"\[(\d+\.\d+)\]\(.+#Exercise-\1:", where)[1]) for words, where in TABLE]


def test_the_guide_has_these_rows():
    assert [words for words, _ in GUIDE] == list(MISTAKES)


@pytest.mark.parametrize("words, number", GUIDE)
def test_a_row_is_a_registered_mistake_and_hears_its_question(words, number):
    name, question = MISTAKES[words]
    known = [*all_exercises()[number].wrong, *credit.WRONG.get(number, ())]
    said = [verdict(number, wrong) for wrong in known if getattr(wrong, "__name__", wrong) == name]
    assert said, f"exercise {number} knows no mistake {name}"
    assert [question in one for one in said].count(True) == 1, said
