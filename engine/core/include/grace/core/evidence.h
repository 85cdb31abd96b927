#pragma once

namespace grace::core {

// How observations become probabilities: a finding's confidence is the posterior probability that
// what it says is so, prior odds times Bayes factor. All in natural logarithms of odds, so that
// independent evidence adds (probability.h has the way back). Plain arithmetic on doubles, the same
// on every run; no shared state (the C library's lgamma writes a global).

[[nodiscard]] double log_gamma(double x);  // x > 0; relative error below 1e-10

// What was learned about a share: pseudo counts of a Beta distribution.
struct ShareBelief {
  double hits = 0.5;
  double misses = 0.5;
};
// Log Bayes factor of "the share changed to anything" (uniform) against "it is still as believed",
// given `hits` of `trials` now. Negative when the belief explains the counts better; also when
// there are fewer hits than believed: only a rise counts.
[[nodiscard]] double log_bayes_share_rise(ShareBelief belief, double hits, double trials);

// What was learned about a rate: pseudo count and exposure of a Gamma distribution.
struct RateBelief {
  double count = 0.5;
  double exposure = 1.0;
};
// The same for a count seen over `exposure`, against a rise to anything around five times the
// believed rate, at least `rise_mean_min` events (an exponential prior on the new rate).
[[nodiscard]] double log_bayes_rate_rise(RateBelief belief, double count, double exposure,
                                         double rise_mean_min);

// Upper bound of the log Bayes factor that a p-value can stand for: -log(-e p log p), 0 from 1/e
// up (Sellke, Bayarri and Berger, 2001).
[[nodiscard]] double log_bayes_from_p(double p);

// Upper tail of a robust deviation, by Student's t with 5 degrees of freedom: telemetry has
// heavier tails than a normal distribution.
[[nodiscard]] double upper_tail_of_deviation(double z);
[[nodiscard]] double upper_tail_of_normal(double z);

// n confirmations and no contradiction under a sceptical Beta(0, 1): n / (n + 1).
[[nodiscard]] constexpr double confirmed(double count) {
  return count / (count + 1.0);
}

}  // namespace grace::core
