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
  Workers& workers;       // for what takes milliseconds
  Workers& slow_workers;  // for graders that are slow()
  Record& record;
  CallsInFlight& calls;

  Workers& WorkersFor(const Grader& grader) const { return grader.slow() ? slow_workers : workers; }
};

}  // namespace ponder::verifier
