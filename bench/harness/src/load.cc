#include "grace/harness/load.h"

#include <algorithm>
#include <cmath>

#include "grace/core/assert.h"

namespace grace::harness {

BacklogTrend trend_of(const std::vector<std::int64_t>& backlog, double window_s, double rate) {
  constexpr double kSignificant = 2.33;
  constexpr double kShareOfRate = 0.01;
  BacklogTrend trend;
  const std::size_t count = backlog.size();
  if (count < 3) return trend;
  const double step_s = window_s / double(count);
  double concordance = 0.0;
  std::vector<double> slopes;
  slopes.reserve(count * (count - 1) / 2);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = i + 1; k < count; ++k) {
      const double rise = double(backlog[k] - backlog[i]);
      concordance += rise > 0.0 ? 1.0 : (rise < 0.0 ? -1.0 : 0.0);
      slopes.push_back(rise / (double(k - i) * step_s));
    }
  }
  const auto middle = slopes.begin() + std::ptrdiff_t(slopes.size() / 2);
  std::nth_element(slopes.begin(), middle, slopes.end());
  trend.slope_per_s = *middle;
  const double n = double(count);
  trend.significance = concordance / std::sqrt(n * (n - 1.0) * (2.0 * n + 5.0) / 18.0);
  trend.growing = trend.significance > kSignificant && trend.slope_per_s > kShareOfRate * rate;
  return trend;
}

LoadRecorder::LoadRecorder(const ArrivalConfig& arrivals, const LoadSpan& span)
    : span_(span),
      schedule_(arrivals),
      arrived_at_(kBacklogPoints + 1, 0),
      done_at_(kBacklogPoints + 1, 0) {}

bool LoadRecorder::in_window(std::int64_t intended_ns) const noexcept {
  return intended_ns >= span_.warmup_ns && intended_ns < span_.end_ns();
}

std::size_t LoadRecorder::point_of(std::int64_t at_ns) const noexcept {
  if (at_ns < span_.warmup_ns) return 0;
  const double part = double(at_ns - span_.warmup_ns) / double(span_.window_ns);
  return std::min(kBacklogPoints, std::size_t(part * double(kBacklogPoints)));
}

std::int64_t LoadRecorder::next_intended() {
  const std::int64_t intended_ns = schedule_.next_ns();
  ++arrived_at_[point_of(intended_ns)];
  if (in_window(intended_ns)) ++result_.arrivals;
  return intended_ns;
}

void LoadRecorder::sent(std::uint64_t count, std::int64_t sent_ns) {
  if (count == 0) return;
  in_flight_.push_back({count, sent_ns});
  sent_ += count;
}

void LoadRecorder::completed(std::uint64_t count, std::int64_t done_ns) {
  const bool in_time = done_ns >= span_.warmup_ns && done_ns < span_.end_ns();
  if (in_time) completed_in_window_ += count;
  done_at_[point_of(done_ns)] += std::int64_t(count);
  completed_ += count;
  while (count > 0) {
    GRACE_ASSERT(!in_flight_.empty(), "more was completed than sent");
    Batch& batch = in_flight_.front();
    const std::uint64_t part = std::min(count, batch.count);
    for (std::uint64_t i = 0; i < part; ++i) {
      const std::int64_t intended_ns = next_intended();
      if (!in_window(intended_ns)) continue;
      ++result_.completed;
      result_.response.record(done_ns - intended_ns);
      result_.service.record(done_ns - batch.sent_ns);
    }
    count -= part;
    batch.count -= part;
    if (batch.count == 0) in_flight_.pop_front();
  }
}

void LoadRecorder::generator_delayed(std::uint64_t count, std::int64_t delay_ns) {
  result_.generator_delay.record_n(delay_ns, count);
}

LoadResult LoadRecorder::finish(std::int64_t end_ns) {
  const std::uint64_t flying = sent_ - completed_;
  for (std::uint64_t left = 0;; ++left) {
    const std::int64_t intended_ns = schedule_.next_ns();
    if (intended_ns >= span_.end_ns()) break;
    ++arrived_at_[point_of(intended_ns)];
    if (!in_window(intended_ns)) continue;
    ++result_.arrivals;
    ++(left < flying ? result_.unfinished : result_.unsent);
    result_.response.record(end_ns - intended_ns);
  }
  const double window_s = double(span_.window_ns) * 1e-9;
  result_.offered_rate = double(result_.arrivals) / window_s;
  result_.completed_rate = double(completed_in_window_) / window_s;
  std::int64_t backlog = 0;
  for (std::size_t point = 0; point < kBacklogPoints; ++point) {
    backlog += arrived_at_[point] - done_at_[point];
    result_.backlog.push_back(backlog);
  }
  result_.trend = trend_of(result_.backlog, window_s, result_.offered_rate);
  return std::move(result_);
}

}  // namespace grace::harness
