#include "edge_input.h"

#include "csv_reader.h"

namespace grace::tools {

core::Result<void> read_edges(BoundedLines lines, const EdgeSink& sink) {
  CsvReader rows(std::move(lines));
  for (bool first = true;; first = false) {
    const auto more = rows.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return {};
    const auto& fields = rows.fields();
    if (fields.size() != 2) return rows.error("expected caller,callee");
    if (first && fields[0] == "caller" && fields[1] == "callee") continue;
    if (fields[0].empty() || fields[1].empty()) return rows.error("a service has no name");
    if (!sink(fields[0], fields[1])) {
      return rows.error("more services and dependencies than the model keeps");
    }
  }
}

}  // namespace grace::tools
