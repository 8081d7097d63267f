// How the shared expert's output joins the routed ones (Qwen2-MoE): one function for actor and
// learner, so that their bits agree.
#pragma once

#include <cstdint>

namespace ponder::moe {

// y[t] += sigmoid(gate[t]) * x[t], rows of length H; gate[t] is the token's product with
// mlp.shared_expert_gate.
void AddGatedRows(const float* x_TH, const float* gate_T, int64_t t, int64_t h, float* y_TH);

}  // namespace ponder::moe
