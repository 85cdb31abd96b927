#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grace/core/outcome.h"
#include "grace/core/record_sink.h"

namespace grace::correlate {

// Who says what about an outcome, in its ledger records.
struct OutcomeStatement {
  std::string_view actor;  // also the subsystem, unless it is a person
  std::string_view subsystem;
  std::string_view action;  // "decision_outcome", "decision_feedback"
  std::string sentence;     // the decision in words
  std::vector<std::string> reasons;
};

void record_outcome(core::RecordSink& records, const core::Outcome& outcome,
                    const OutcomeStatement& statement);
// The decision_weight record that follows learning.
void record_weight(core::RecordSink& records, const core::Outcome& outcome,
                   std::string_view reason);

// "ML prediction", "Proactive scaling": what deserves the credit, at the start of a sentence.
[[nodiscard]] std::string credit_of(const core::Outcome& outcome);

}  // namespace grace::correlate
