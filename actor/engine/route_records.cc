#include "actor/engine/route_records.h"

#include <algorithm>

#include "moe/kernels/attention.h"

namespace ponder::actor {

using kernels::kKvBlock;

int64_t RouteRecords::page_bytes() const { return kKvBlock * shape_.token_bytes(); }

void RouteRecords::AddRow(KvPages& pages, const Sequence& sequence) {
  if (!on()) return;
  const KvPages::Page page = sequence.pages[static_cast<size_t>(sequence.fed / kKvBlock)];
  rows_T_.push_back(pages.record(page) + sequence.fed % kKvBlock * shape_.token_bytes());
}

void RouteRecords::Write(const moe::Inference& inference) {
  if (!on()) return;
  for (size_t i = 0; i < shape_.layers.size(); ++i) {
    const int32_t* experts = inference.routing(shape_.layers[i]).experts.data();
    for (size_t t = 0; t < rows_T_.size(); ++t) {
      moe::WriteRouting(shape_, static_cast<int64_t>(i),
                        experts + static_cast<int64_t>(t) * shape_.slots, rows_T_[t]);
    }
  }
}

std::string RouteRecords::Of(KvPages& pages, const Sequence& sequence) const {
  std::string record;
  if (!on()) return record;
  record.reserve(static_cast<size_t>(sequence.fed * shape_.token_bytes()));
  for (int64_t fed = 0; fed < sequence.fed; fed += kKvBlock) {
    const KvPages::Page page = sequence.pages[static_cast<size_t>(fed / kKvBlock)];
    const int64_t tokens = std::min<int64_t>(kKvBlock, sequence.fed - fed);
    record.append(reinterpret_cast<const char*>(pages.record(page)),
                  static_cast<size_t>(tokens * shape_.token_bytes()));
  }
  return record;
}

}  // namespace ponder::actor
