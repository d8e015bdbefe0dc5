/* program.c - who computes what when. SPDX-License-Identifier: Apache-2.0
 *
 * A pass is a list of segments. Within a segment a shard goes through all steps at a stretch, so that
 * what an operator wrote is still in the cache when the next reads it; segments end where an operator
 * needs something of the whole batch (BatchNormalization). A network without such operators is one
 * segment: forward, loss and backward of a shard.
 */
#include "base/parallel.h"
#include "train/engine.h"

/* ---- building ---- */

static void add_step(struct brim_net_program *p, enum brim_net_phase phase, struct brim_net_op *op)
{
    p->step[p->n_steps++] = (struct brim_net_step){phase, op};
}

static void cut(struct brim_net_program *p, struct brim_net_op *join, bool backward)
{
    const size_t first = p->n_segments == 0 ? 0
                                            : p->segment[p->n_segments - 1].first +
                                                  p->segment[p->n_segments - 1].count;

    p->segment[p->n_segments++] =
        (struct brim_net_segment){first, p->n_steps - first, join, backward};
}

static void add_forward(struct brim_network *net, struct brim_net_program *p, bool training)
{
    for (size_t i = 0; i < net->n_ops; i++) {
        struct brim_net_op *op = &net->op[i];
        if (op->cls->forward != NULL) {
            add_step(p, BRIM_NET_FORWARD, op);
        }
        if (training && op->cls->join != NULL) {
            cut(p, op, false);
        }
        if (op->cls->finish != NULL) {
            add_step(p, BRIM_NET_FINISH, op);
        }
    }
}

static void add_backward(struct brim_network *net, struct brim_net_program *p)
{
    add_step(p, BRIM_NET_LOSS, NULL);
    for (size_t i = net->n_ops; i-- > 0;) {
        struct brim_net_op *op = &net->op[i];
        if (!op->backward) {
            continue;
        }
        if (op->cls->backward != NULL) {
            add_step(p, BRIM_NET_BACKWARD, op);
        }
        if (op->cls->join_backward != NULL) {
            cut(p, op, true);
        }
        if (op->cls->finish_backward != NULL) {
            add_step(p, BRIM_NET_FINISH_BACKWARD, op);
        }
    }
}

static brim_status make_room(struct brim_network *net, struct brim_net_program *p)
{
    p->step = brim_arena_alloc(&net->arena, 4 * net->n_ops + 1, sizeof *p->step);
    p->segment = brim_arena_alloc(&net->arena, 2 * net->n_ops + 1, sizeof *p->segment);
    return p->step != NULL && p->segment != NULL ? BRIM_OK : BRIM_ERR_NOMEM;
}

brim_status brim_net_program_build(struct brim_network *net)
{
    BRIM_TRY(make_room(net, &net->train));
    BRIM_TRY(make_room(net, &net->predict));
    add_forward(net, &net->train, true);
    add_backward(net, &net->train);
    cut(&net->train, NULL, true);
    add_forward(net, &net->predict, false);
    cut(&net->predict, NULL, false);
    return BRIM_OK;
}

/* ---- running ---- */

struct job {
    struct brim_network *net;
    const struct brim_net_program *program;
    const struct brim_net_segment *segment;
    const struct brim_net_call *call;
};

static brim_status run_step(struct brim_network *net, const struct brim_net_step *s,
                            const struct brim_net_call *call)
{
    if (s->phase == BRIM_NET_LOSS) {
        return brim_net_loss(net, call);
    }
    const struct brim_net_class *cls = s->op->cls;
    switch (s->phase) {
    case BRIM_NET_FORWARD:
        return cls->forward(net, s->op, call);
    case BRIM_NET_FINISH:
        return cls->finish(net, s->op, call);
    case BRIM_NET_BACKWARD:
        return cls->backward(net, s->op, call);
    case BRIM_NET_FINISH_BACKWARD:
        return cls->finish_backward(net, s->op, call);
    case BRIM_NET_LOSS:
        break;
    }
    return BRIM_OK;
}

static brim_status run_shard(void *arg, size_t i, int worker)
{
    const struct job *job = arg;
    struct brim_net_call call = *job->call;

    call.shard = i;
    call.worker = worker;
    call.first = i * job->net->shard;
    call.count = call.n - call.first < job->net->shard ? call.n - call.first : job->net->shard;
    for (size_t s = 0; s < job->segment->count; s++) {
        BRIM_TRY(run_step(job->net, &job->program->step[job->segment->first + s], &call));
    }
    return BRIM_OK;
}

brim_status brim_net_program_run(struct brim_network *net, const struct brim_net_program *p,
                                 const struct brim_net_call *call)
{
    const size_t shards = (call->n + net->shard - 1) / net->shard;

    for (size_t i = 0; i < net->n_ops; i++) {
        if (net->op[i].cls->prepare != NULL) {
            BRIM_TRY(net->op[i].cls->prepare(net, &net->op[i], call->training));
        }
    }
    for (size_t i = 0; i < p->n_segments; i++) {
        const struct brim_net_segment *s = &p->segment[i];
        struct job job = {net, p, s, call};
        BRIM_TRY(brim_parallel_for(net->ctx, shards, run_shard, &job));
        if (s->join != NULL) {
            (s->backward ? s->join->cls->join_backward : s->join->cls->join)(net, s->join, call->n);
        }
    }
    return BRIM_OK;
}

/* ---- sums over the batch ---- */

struct collection {
    struct brim_network *net;
    size_t n;
    size_t *first; /* [n_ops + 1] number of an operator's first part */
};

static brim_status collect_part(void *arg, size_t i, int worker)
{
    const struct collection *c = arg;
    size_t op = 0;

    (void)worker;
    while (c->first[op + 1] <= i) {
        op++;
    }
    struct brim_net_op *o = &c->net->op[op];
    o->cls->collect(c->net, o, c->n, i - c->first[op]);
    return BRIM_OK;
}

static size_t count_parts(const struct brim_network *net, const struct brim_net_op *op)
{
    return op->backward && op->cls->parts != NULL ? op->cls->parts(net, op) : 0;
}

brim_status brim_net_collect(struct brim_network *net, size_t n)
{
    struct collection c = {net, n, brim_alloc(net->ctx, net->n_ops + 1, sizeof(size_t))};

    if (c.first == NULL) {
        return BRIM_ERR_NOMEM;
    }
    c.first[0] = 0;
    for (size_t i = 0; i < net->n_ops; i++) {
        c.first[i + 1] = c.first[i] + count_parts(net, &net->op[i]);
    }
    brim_status status = brim_parallel_for(net->ctx, c.first[net->n_ops], collect_part, &c);
    brim_free(net->ctx, c.first);
    for (size_t i = 0; status == BRIM_OK && i < net->n_ops; i++) {
        if (net->op[i].backward && net->op[i].cls->learn != NULL) {
            status = net->op[i].cls->learn(net, &net->op[i], n);
        }
    }
    return status;
}
