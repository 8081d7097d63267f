// The choice of an instruction set.
#include "moe/kernels/isa/table.h"

#include <cstring>

namespace ponder::kernels::isa {

const KernelTable* FindKernels(const char* name) {
#ifdef PONDER_X86_KERNELS
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512bw");
  if (std::strcmp(name, kAvx512Kernels.name) == 0) return avx512 ? &kAvx512Kernels : nullptr;
  if (std::strcmp(name, kAvx2Kernels.name) == 0) return avx2 ? &kAvx2Kernels : nullptr;
#endif
  return std::strcmp(name, kGenericKernels.name) == 0 ? &kGenericKernels : nullptr;
}

const KernelTable& Kernels() {
  static const KernelTable& chosen = []() -> const KernelTable& {
    const KernelTable* table = FindKernels("avx512");
    if (table == nullptr) table = FindKernels("avx2");
    return table == nullptr ? kGenericKernels : *table;
  }();
  return chosen;
}

}  // namespace ponder::kernels::isa
