#pragma once

namespace grace::harness {

// What theory says of the response time (waiting and service) of one server, first come first
// served, with Poisson arrivals: to check a harness against. Utilization in (0, 1), share in (0,
// 1); times in units of the mean service time.

// Exponential service: the response time is exponential as well (Kleinrock, Queueing Systems I,
// 1975, section 3.2).
[[nodiscard]] double mm1_response_quantile(double utilization, double share);

// Constant service: Erlang 1909, the distribution of the wait as an alternating sum; here in the
// form of Franx, "A simple solution for the M/D/c waiting time distribution", Operations Research
// Letters 29 (2001), whose terms are all positive. To 1e-9 of the share.
[[nodiscard]] double md1_response_quantile(double utilization, double share);

}  // namespace grace::harness
