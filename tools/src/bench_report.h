#pragma once
#include <string>

#include "grace/harness/report.h"
#include "grace/parse/json_value.h"

namespace grace::tools {

// A result of `grace bench` (its JSON) for people: a page with plots, and a few lines.
[[nodiscard]] harness::Page bench_page(const parse::JsonValue& result);
[[nodiscard]] std::string bench_text(const parse::JsonValue& result);

}  // namespace grace::tools
