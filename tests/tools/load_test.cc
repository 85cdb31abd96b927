// The load that `grace bench` makes: which lines, with which time, and that each one is accounted
// for behind the real engine.
#include <gtest/gtest.h>

#include <thread>

#include "engine_load.h"
#include "line_maker.h"

namespace grace::tools {
namespace {

constexpr std::size_t kLineMax = 1 << 20;

std::string written(const LoadStream& stream, std::uint64_t arrival, std::int64_t ts_ns) {
  std::string out(stream.line(arrival).size(), '\0');
  EXPECT_EQ(stream.write(arrival, ts_ns, out.data()), out.size());
  return out;
}

TEST(LoadStream, GoesRoundWithNewTimesAndSendsTheTopologyOnce) {
  const std::string topology =
      "{\"ts\":1736899200000000000,\"kind\":\"control\",\"control\":\"topology\"}\n";
  const auto stream = LoadStream::of(
      topology + "{\"ts\":1736899200000000001,\"a\":1}\n{\"ts\":\"2025\",\"b\":1}\n{\"c\":1}",
      kLineMax);
  ASSERT_TRUE(stream.has_value());
  EXPECT_EQ(stream->line_count(), 4U);
  constexpr std::int64_t kTs = 1'800'000'000'123'456'789;
  EXPECT_NE(written(*stream, 0, kTs).find("topology"), std::string::npos);
  EXPECT_EQ(written(*stream, 1, kTs), "{\"ts\":1800000000123456789,\"a\":1}\n");
  EXPECT_EQ(written(*stream, 2, kTs), "{\"ts\":\"2025\",\"b\":1}\n") << "no place for a number";
  EXPECT_EQ(written(*stream, 3, kTs), "{\"c\":1}\n") << "the newline is added";
  for (std::uint64_t arrival = 1; arrival < 20; ++arrival) {
    EXPECT_EQ(stream->line(arrival + 3), stream->line(arrival)) << arrival;
  }
}

TEST(LoadStream, RefusesWhatCannotBeSent) {
  EXPECT_FALSE(LoadStream::of("", kLineMax).has_value());
  EXPECT_FALSE(LoadStream::of("{\"control\":\"topology\"}\n", kLineMax).has_value());
  const auto too_long = LoadStream::of("{}\n" + std::string(200, 'x') + "\n", 100);
  ASSERT_FALSE(too_long.has_value());
  EXPECT_NE(too_long.error().message.find("line 2 has 201 bytes"), std::string::npos);
  EXPECT_EQ(LoadStream::of_file("/nothing/here", kLineMax).error().code, core::ErrorCode::kIo);
}

TEST(LineMaker, MakesEachLineOfTheSpanInOrderAndThenEnds) {
  const auto stream = LoadStream::of("{\"ts\":1736899200000000001,\"a\":1}\n{\"c\":1}\n", kLineMax);
  ASSERT_TRUE(stream.has_value());
  harness::ArrivalConfig arrivals;
  arrivals.rate = 1e6;
  const harness::LoadSpan span{0, 100'000'000, 0};  // more lines than it can make ahead
  LoadClock timing;
  timing.first_event_ns = 1'800'000'000'000'000'000;
  timing.event_gap_ns = 1'000.0;
  LineMaker maker(*stream, arrivals, span, timing);
  harness::ArrivalSchedule schedule(arrivals);
  std::uint64_t count = 0;
  while (!maker.ended()) {
    const LineMaker::Line* const line = maker.next();
    if (line == nullptr) continue;  // not made yet
    const std::string_view text(line->text, line->size_bytes);
    ASSERT_EQ(text, written(*stream, count, timing.event_ns(count))) << count;
    ASSERT_EQ(line->due_ns, schedule.next_ns()) << count;
    ASSERT_LT(line->due_ns, span.end_ns());
    maker.pop();
    ++count;
  }
  EXPECT_GE(schedule.next_ns(), span.end_ns());
  EXPECT_GT(count, 90'000U);
}

TEST(LineMaker, StopsWhenNobodyTakesItsLines) {
  const auto stream = LoadStream::of("{\"c\":1}\n", kLineMax);
  ASSERT_TRUE(stream.has_value());
  harness::ArrivalConfig arrivals;
  arrivals.rate = 1e6;
  const harness::LoadSpan span{0, 1'000'000'000'000, 0};
  const LoadClock timing;
  LineMaker maker(*stream, arrivals, span, timing);
  while (maker.next() == nullptr) std::this_thread::yield();
  maker.pop();
  EXPECT_FALSE(maker.ended()) << "hours of lines are left";
}

class Loaded : public ::testing::Test {
 protected:
  void SetUp() override {
    GeneratorOptions options;
    options.event_count = 2'000;
    options.service_count = 20;
    auto stream = LoadStream::generated(options, kLineMax);
    ASSERT_TRUE(stream.has_value());
    stream_.emplace(std::move(*stream));
    arrivals_.kind = harness::ArrivalKind::kConstant;
    arrivals_.rate = 40'000.0;
  }
  std::optional<LoadStream> stream_;
  harness::ArrivalConfig arrivals_;
  // The drain is as long as the slowest machine may need: nothing here depends on the time.
  harness::LoadSpan span_{50'000'000, 100'000'000, 200'000'000'000};
};

TEST_F(Loaded, TheEngineAccountsForEachArrivalForAnyNumberOfWorkers) {
  for (const std::size_t workers : {1U, 2U}) {
    AppConfig app;
    app.engine.workers = workers;
    app.engine.threading =
        workers == 1 ? pipeline::Threading::kRunToCompletion : pipeline::Threading::kPipeline;
    app.engine.idle = workers == 1 ? core::IdlePolicy::kYield : core::IdlePolicy::kPark;
    const auto config = check_config(std::move(app));
    ASSERT_TRUE(config.has_value());
    const auto run = run_engine_load({*config, *stream_, arrivals_, span_});
    ASSERT_TRUE(run.has_value()) << run.error().message;
    EXPECT_EQ(run->counts.received, 6'000U) << "40 k a second for 150 ms";
    EXPECT_EQ(run->counts.accepted, 6'000U);
    EXPECT_EQ(run->load.arrivals, 4'000U);
    EXPECT_EQ(run->load.completed, 4'000U);
    EXPECT_EQ(run->load.response.count(), 4'000U);
    EXPECT_EQ(run->load.service.count(), 4'000U);
    EXPECT_EQ(run->load.response.negative_count(), 0U) << "decided before it arrived";
    EXPECT_GE(run->load.response.percentile(0.5), run->load.service.percentile(0.5));
    EXPECT_EQ(run->marks_left_out, 0U);
  }
}

TEST_F(Loaded, EventTimeMayRunAheadOfTheClockAndNothingIsRejectedForIt) {
  const auto config = check_config(AppConfig{});
  ASSERT_TRUE(config.has_value());
  const auto run = run_engine_load({*config, *stream_, arrivals_, span_, 10.0});
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_EQ(run->counts.accepted, 6'000U);
}

TEST_F(Loaded, AnEngineThatDoesNotKeepUpLeavesArrivalsUnsentNotUncounted) {
  arrivals_.rate = 50e6;  // more than any machine takes
  span_ = {0, 20'000'000, 0};
  const auto config = check_config(AppConfig{});
  ASSERT_TRUE(config.has_value());
  const auto run = run_engine_load({*config, *stream_, arrivals_, span_});
  ASSERT_TRUE(run.has_value()) << run.error().message;
  const harness::LoadResult& load = run->load;
  EXPECT_EQ(load.arrivals, 1'000'000U);
  EXPECT_GT(load.unsent, 0U);
  EXPECT_EQ(load.arrivals, load.completed + load.unfinished + load.unsent);
  EXPECT_EQ(load.response.count(), load.arrivals);
  EXPECT_EQ(run->counts.received, run->counts.accepted);
}

TEST_F(Loaded, TheNullServiceCompletesAll) {
  const auto published = PublishStream::of(*stream_);
  ASSERT_TRUE(published.has_value()) << published.error().message;
  for (const PublishStream* const way : {static_cast<PublishStream*>(nullptr), published->get()}) {
    for (const pipeline::Threading threading :
         {pipeline::Threading::kRunToCompletion, pipeline::Threading::kPipeline}) {
      pipeline::EngineConfig threads;
      threads.threading = threading;
      threads.workers = way == nullptr ? 1 : 2;
      const auto load = run_null_load(*stream_, arrivals_, span_, threads, way);
      ASSERT_TRUE(load.has_value()) << load.error().message;
      EXPECT_EQ(load->completed, 4'000U);
      EXPECT_EQ(load->unsent + load->unfinished, 0U);
    }
  }
}

TEST_F(Loaded, PublishedEventsAreEachAccountedForAsLinesAre) {
  const auto published = PublishStream::of(*stream_);
  ASSERT_TRUE(published.has_value()) << published.error().message;
  for (const std::size_t workers : {1U, 2U}) {
    AppConfig app;
    app.engine.workers = workers;
    const auto config = check_config(std::move(app));
    ASSERT_TRUE(config.has_value());
    const auto run =
        run_engine_load({*config, *stream_, arrivals_, span_, 0.0, {}, published->get()});
    ASSERT_TRUE(run.has_value()) << run.error().message;
    EXPECT_EQ(run->counts.received, 6'000U);
    EXPECT_EQ(run->counts.accepted, 6'000U) << "with new times, also where the event is a line";
    EXPECT_EQ(run->load.completed, 4'000U) << "a record's place is known before it is decided";
    EXPECT_EQ(run->load.response.count(), 4'000U);
    EXPECT_EQ(run->load.response.negative_count(), 0U);
  }
}

TEST_F(Loaded, WhatCannotBePublishedInTimeIsUnsentNotUncounted) {
  const auto published = PublishStream::of(*stream_);
  ASSERT_TRUE(published.has_value()) << published.error().message;
  arrivals_.rate = 50e6;
  span_ = {0, 20'000'000, 0};
  const auto config = check_config(AppConfig{});
  ASSERT_TRUE(config.has_value());
  const auto run =
      run_engine_load({*config, *stream_, arrivals_, span_, 0.0, {}, published->get()});
  ASSERT_TRUE(run.has_value()) << run.error().message;
  EXPECT_EQ(run->load.arrivals, 1'000'000U);
  EXPECT_GT(run->load.unsent, 0U);
  EXPECT_EQ(run->load.arrivals, run->load.completed + run->load.unfinished + run->load.unsent);
  EXPECT_EQ(run->counts.received, run->counts.accepted);
}

TEST(PublishStream, RefusesWhatAPublisherWould) {
  const auto blank = LoadStream::of("{\"a\":1}\n\n{\"a\":2}\n", kLineMax);
  ASSERT_TRUE(blank.has_value());
  EXPECT_EQ(PublishStream::of(*blank).error().message, "a blank line cannot be published");
  const auto large =
      LoadStream::of("{\"a\":1}\n{\"b\":\"" + std::string(70'000, 'x') + "\"}\n", kLineMax);
  ASSERT_TRUE(large.has_value());
  EXPECT_EQ(PublishStream::of(*large).error().message, "event 2 is too large to be published");
}

}  // namespace
}  // namespace grace::tools
