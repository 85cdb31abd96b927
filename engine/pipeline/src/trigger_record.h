#pragma once
#include <cstdint>
#include <string_view>

#include "grace/core/record_sink.h"
#include "grace/core/trigger.h"
#include "grace/correlate/correlator.h"
#include "grace/limit/limit_config.h"
#include "grace/pipeline/trigger_manager.h"

namespace grace::pipeline {

// The ledger records of the trigger manager, in the form that outside programs may rely on.

void record_trigger(core::RecordSink& records, const core::Trigger& trigger,
                    const TriggerManager::Stop& stop);
void record_prediction(core::RecordSink& records, const core::Trigger& trigger);
void record_incident(core::RecordSink& records, const correlate::IncidentChange& change);
void record_silence(core::RecordSink& records, const limit::Silence& silence,
                    std::string_view silence_id, std::int64_t now_ns);
void record_silence_expired(core::RecordSink& records, std::string_view silence_id,
                            std::string_view actor, std::int64_t now_ns);

}  // namespace grace::pipeline
