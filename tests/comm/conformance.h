// What every kind of Group must do, as one suite: each rank runs Conformance(group), whatever
// carries the bytes.
#pragma once

#include "comm/group.h"

namespace ponder::comm {

// Calls every operation on `group` and compares with closed forms. To be called by all of its ranks
// at once; failures are reported through GoogleTest with the rank.
void CheckConformance(Group& group);

}  // namespace ponder::comm
