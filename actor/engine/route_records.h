// RouteRecords: which experts the tokens of a RunningBatch were routed to, kept with the pages of
// their keys and values.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "actor/engine/kv_pages.h"
#include "actor/engine/sequence.h"
#include "moe/inference.h"
#include "moe/routing_record.h"

namespace ponder::actor {

// A value, of a model's shape; of an empty one nothing is recorded.
class RouteRecords {
 public:
  explicit RouteRecords(moe::RoutingShape shape) : shape_(std::move(shape)) {}

  bool on() const { return shape_.token_bytes() > 0; }
  // Of a page's record.
  int64_t page_bytes() const;

  // --- of one forward pass ---
  void Clear() { rows_T_.clear(); }
  // The next row feeds the token of `sequence` that its pages lack first.
  void AddRow(KvPages& pages, const Sequence& sequence);
  // What `inference` chose for the rows.
  void Write(const moe::Inference& inference);

  // Of the tokens that were fed; empty if nothing is recorded.
  std::string Of(KvPages& pages, const Sequence& sequence) const;

 private:
  const moe::RoutingShape shape_;
  std::vector<uint8_t*> rows_T_;
};

}  // namespace ponder::actor
