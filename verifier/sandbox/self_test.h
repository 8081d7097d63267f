// Does the jail really jail? Asked at the start of a service, before any program of a model runs.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "verifier/sandbox/sandbox.h"

namespace ponder::verifier {

// Runs hostile programs in the sandbox (they need /usr/bin/python3) and checks what they could do:
// see other processes, the caller's environment, files or network; write outside of /tmp; gain
// rights; make namespaces; outgrow their memory, processes, CPU time, wall clock and output; stay
// alive. FailedPrecondition: one of them got further than the layers allow; the message says which.
// Other errors are Sandbox::Run's. They run at once; it takes about half a second, or until `stop`,
// a descriptor or -1, is readable: Cancelled, and nothing is known.
absl::Status SelfTest(Sandbox& sandbox, absl::Time deadline, int stop = -1);

}  // namespace ponder::verifier
