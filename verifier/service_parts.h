// What every call of the service works with.
#pragma once

#include "verifier/access.h"
#include "verifier/calls_in_flight.h"
#include "verifier/graders.h"
#include "verifier/record.h"
#include "verifier/workers.h"

namespace ponder::verifier {

// A value of references; what they name outlives every call.
struct ServiceParts {
  const Graders& graders;
  const Access& access;
  WorkersByPace& workers;
  Record& record;
  CallsInFlight& calls;
};

}  // namespace ponder::verifier
