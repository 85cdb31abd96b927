#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace grace::ledger::internal {

// Copies a JSON object into `out`, but for the members that a path names: `replace` appends what
// stands in their place. True where there was one. The object has passed is_json_object().
//
// A path is names with a dot between them. It reaches into arrays, into each element; a name may
// hold dots itself ("user.email" is found as "user": {"email": ...} and as "user.email": ...);
// names are compared as they read without escapes; of a name that is there twice each is replaced.
// `path` as given to `replace` is the one that matched, of several the first.
using ReplaceField =
    std::function<void(std::string_view path, std::string_view value, std::string& out)>;
bool replace_fields(std::string_view object, std::span<const std::string> paths,
                    const ReplaceField& replace, std::string& out);

// Appends a JSON value without the blanks outside its strings.
void append_without_blanks(std::string_view value, std::string& out);

// What a JSON string between its quotes stands for, in UTF-8. Half a surrogate pair becomes U+FFFD.
[[nodiscard]] std::string unescaped(std::string_view string);

}  // namespace grace::ledger::internal
