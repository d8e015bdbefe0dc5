/* lanes32.c - the lane simulator in 32 bits, see lanes_body.h. SPDX-License-Identifier: Apache-2.0 */
#define LANE        int32_t
#define LANE_U      uint32_t
#define LANE_RUN    brim_lanes32_run
#define LANE_CLONED lanes32_run
#include "kernels/lanes_body.h"
