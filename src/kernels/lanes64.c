/* lanes64.c - the lane simulator in 64 bits, see lanes_body.h. SPDX-License-Identifier: Apache-2.0 */
#define LANE        int64_t
#define LANE_U      uint64_t
#define LANE_RUN    brim_lanes64_run
#define LANE_CLONED lanes64_run
#include "kernels/lanes_body.h"
