// What this machine can do at best, measured: the yardsticks that benchmarks report shares of.
// Rates are for a second in which every thread of the pool runs: processor time is counted, so that
// others on the machine disturb little.
#pragma once

#include "moe/kernels/thread_pool.h"

namespace ponder::bench {

// Seconds that the process's threads have run, together.
double CpuSeconds();

// Floating-point operations a second of independent chains of FMAs in registers.
double FmaPeak(kernels::ThreadPool& pool);

// Bytes a second read from memory that no cache holds.
double ReadBandwidth(kernels::ThreadPool& pool);

}  // namespace ponder::bench
