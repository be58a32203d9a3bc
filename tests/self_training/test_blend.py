"""What the blend of human and pseudo losses promises."""

import tensorflow as tf
from absl.testing import parameterized

from st_keras.self_training.blend import Blend


def make_blend(*, weight=1.0, normalize=True, decay=0.75, max_ratio=10.0):
    return Blend(weight=weight, normalize=normalize, decay=decay, max_ratio=max_ratio)


class BlendTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_first_step_is_not_biased_towards_zero(self):
        # Sums are 0.25 * 4 = 1 and 0.25 * 16 = 4, their weight is 0.25.
        blend = make_blend()
        blend.update(tf.constant(4.0), tf.constant(16.0))
        self.assertAllClose(blend.means(), [4.0, 16.0])
        self.assertAllClose(blend.ratio(), 0.25)

    def test_means_forget_at_the_rate_of_the_decay(self):
        # Human: (0.75 * 0.25 * 4 + 0.25 * 8) / (0.75 * 0.25 + 0.25) = 2.75 / 0.4375.
        # Pseudo: (0.75 * 0.25 * 1 + 0.25 * 2) / 0.4375 = 0.6875 / 0.4375.
        blend = make_blend()
        blend.update(tf.constant(4.0), tf.constant(1.0))
        blend.update(tf.constant(8.0), tf.constant(2.0))
        self.assertAllClose(blend.means(), [2.75 / 0.4375, 0.6875 / 0.4375])

    def test_factors_are_those_of_the_paper(self):
        # weight 3, ratio 4 / 16: 1 / (1 + 3) and 3 * 0.25 / (1 + 3).
        blend = make_blend(weight=3.0)
        factors = blend.update(tf.constant(4.0), tf.constant(16.0))
        self.assertAllClose(factors, [0.25, 0.1875])

    def test_both_parts_pull_alike_whatever_their_size(self):
        # Weighed by its factor, the pseudo loss of 16 counts as much as the human 4.
        human_factor, pseudo_factor = make_blend().update(
            tf.constant(4.0), tf.constant(16.0)
        )
        self.assertAllClose(4.0 * human_factor, 16.0 * pseudo_factor)

    def test_without_normalisation_the_ratio_is_left_out(self):
        blend = make_blend(weight=3.0, normalize=False)
        factors = blend.update(tf.constant(4.0), tf.constant(16.0))
        self.assertAllClose(factors, [0.25, 0.75])

    def test_a_vanishing_pseudo_loss_is_not_multiplied_without_limit(self):
        blend = make_blend(max_ratio=10.0)
        _, pseudo_factor = blend.update(tf.constant(1.0), tf.constant(0.0))
        self.assertAllClose(blend.ratio(), 10.0)
        self.assertAllClose(pseudo_factor, 5.0)

    def test_the_factors_have_no_gradient(self):
        blend = make_blend()
        human, pseudo = tf.constant(4.0), tf.constant(16.0)
        with tf.GradientTape() as tape:
            tape.watch([human, pseudo])
            _, factor = blend.update(human, pseudo)
        self.assertEqual(tape.gradient(factor, [human, pseudo]), [None, None])

    def test_its_state_is_what_a_checkpoint_must_hold(self):
        blend = make_blend()
        names = sorted(variable.name for variable in blend.variables)
        self.assertEqual(names, ["human_sum:0", "pseudo_sum:0", "weight_sum:0"])

    @parameterized.parameters(
        ({"weight": -1.5}, "`weight` must be 0 or more, got -1.5"),
        ({"decay": 1.0}, r"`decay` must be in \[0, 1\), got 1.0"),
        ({"max_ratio": 0.0}, "`max_ratio` must be above 0, got 0.0"),
    )
    def test_a_number_out_of_its_range_is_named(self, settings, message):
        with self.assertRaisesRegex(ValueError, message):
            make_blend(**settings)

    def test_a_mean_without_decay_and_a_ratio_without_bound_are_legal(self):
        blend = make_blend(weight=0.0, decay=0.0, max_ratio=float("inf"))
        blend.update(tf.constant(4.0), tf.constant(1.0))
        blend.update(tf.constant(60.0), tf.constant(2.0))
        self.assertAllClose(blend.ratio(), 30.0)
