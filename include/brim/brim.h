/* brim/brim.h - everything. The header list is the pipeline. */
#ifndef BRIM_BRIM_H
#define BRIM_BRIM_H

#include <brim/base.h>
#include <brim/bench.h>
#include <brim/certify.h>
#include <brim/data.h>
#include <brim/datapath.h>
#include <brim/fix.h>
#include <brim/graph.h>
#include <brim/inspect.h>
#include <brim/onnx.h>
#include <brim/profile.h>
#include <brim/prune.h>
#include <brim/quantize.h>
#include <brim/run.h>
#include <brim/target.h>
#include <brim/tflite.h>
#include <brim/train.h>

#endif
