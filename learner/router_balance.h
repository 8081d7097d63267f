// What keeps the experts evenly loaded during training; the losses are those of moe/router_loss.h.
#pragma once

namespace ponder::learner {

// A value.
struct RouterBalance {
  enum class Kind { kNone, kSequence, kBatch };
  Kind kind = Kind::kNone;
  double coef = 0;        // of the balance loss
  double z_coef = 0;      // of the z loss
  double bias_speed = 0;  // of the update of the experts' selection biases, without a loss
};

}  // namespace ponder::learner
