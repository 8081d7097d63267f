// The kernels for the baseline instruction set.
#define PONDER_ISA generic
#include "moe/kernels/isa/attention.h"
#include "moe/kernels/isa/gemm.h"
#include "moe/kernels/isa/optimizer.h"
#include "moe/kernels/isa/peak.h"
#include "moe/kernels/isa/rows.h"
#include "moe/kernels/isa/table.h"

namespace ponder::kernels::isa {
const KernelTable kGenericKernels = {
    "generic",
    PONDER_ISA::GemmTile,
    PONDER_ISA::SumOfSquares,
    PONDER_ISA::ScaleRow,
    PONDER_ISA::RmsNormBackwardRow,
    PONDER_ISA::RotateHeads,
    PONDER_ISA::SwiGlu,
    PONDER_ISA::SwiGluBackward,
    PONDER_ISA::AddScaled,
    PONDER_ISA::SigmoidRow,
    PONDER_ISA::SumExp,
    PONDER_ISA::ExpRow,
    PONDER_ISA::SumOf,
    PONDER_ISA::MaxOf,
    PONDER_ISA::AttentionTile,
    PONDER_ISA::AttentionBackwardHead,
    PONDER_ISA::SumOfSquaresF64,
    PONDER_ISA::AdamW,
    PONDER_ISA::FmaPeak,
};
}  // namespace ponder::kernels::isa
