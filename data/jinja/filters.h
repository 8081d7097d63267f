// The table of filters: what stands behind "|", by name.
#pragma once

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "data/jinja/run.h"

namespace ponder::data::jinja {

using Filter = Value (*)(Run&, const Value&, const Arguments&);
using FilterTable = absl::flat_hash_map<absl::string_view, Filter>;

// text_filters.cc: those that make text of a value.
void AddTextFilters(FilterTable* table);

// Whether an argument is given and true.
inline bool Flag(const Arguments& arguments, size_t index, absl::string_view name) {
  const Value* value = arguments.Get(index, name);
  return value != nullptr && value->Truthy();
}

}  // namespace ponder::data::jinja
