// The log-prob of a token, computed in one place: what the actor records is, bit for bit, what the
// learner recomputes.
#pragma once

#include <cstdint>

namespace ponder::kernels {

// Of softmax(logits / temperature) over one row of length V.
struct SoftmaxRow {
  float log_z = 0;    // log sum exp of the tempered logits
  float entropy = 0;  // nats
};
SoftmaxRow SoftmaxOf(const float* logits_V, int64_t v, float temperature);

// log softmax(logits / temperature)[token], from that row's log_z.
float LogProb(const float* logits_V, float temperature, float log_z, int64_t token);

}  // namespace ponder::kernels
