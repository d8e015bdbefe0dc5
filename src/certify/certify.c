/* certify.c - prove every dot layer of a graph. SPDX-License-Identifier: Apache-2.0 */
#include "brim/certify.h"

#include <jansson.h>
#include <string.h>

#include "certify/certificate.h"
#include "certify/prove.h"

#define METADATA_PREFIX "brim.layer."

/* The metadata of a layer speaks about the codes it was written for; any others are an error. */
static brim_status check_fresh(const struct brim_graph *g, const struct brim_dot *d,
                               const char *hash)
{
    struct brim_arena scratch;
    brim_status status = BRIM_OK;

    brim_arena_init(&scratch, g->ctx);
    const char *key = brim_arena_printf(&scratch, METADATA_PREFIX "%s", d->name);
    const char *text = key != NULL ? brim_graph_metadata(g, key) : NULL;
    json_t *root = text != NULL ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const char *codes = json_string_value(json_object_get(root, "codes"));

    if (key == NULL) {
        status = BRIM_ERR_NOMEM;
    } else if (text != NULL && codes == NULL) {
        status =
            brim_fail(g->ctx, BRIM_ERR_FILE,
                      "layer '%s': metadata has no hash of the codes, expected \"codes\"", d->name);
    } else if (text != NULL && strcmp(codes, hash) != 0) {
        status = brim_fail(g->ctx, BRIM_ERR_FILE,
                           "layer '%s': codes or ranges changed after quantization (metadata says "
                           "%.12s, the file holds %.12s)",
                           d->name, codes, hash);
    }
    json_decref(root);
    brim_arena_free(&scratch);
    return status;
}

/* Metadata about a layer that is not there would be a claim about nothing. */
static brim_status check_no_orphans(const struct brim_graph *g, const struct brim_dots *dots)
{
    const size_t prefix = strlen(METADATA_PREFIX);

    for (size_t i = 0; i < g->n_metadata; i++) {
        const char *key = g->metadata[i].key;
        if (strncmp(key, METADATA_PREFIX, prefix) != 0) {
            continue;
        }
        bool found = false;
        for (size_t j = 0; j < dots->count && !found; j++) {
            found = dots->dot[j].codes && strcmp(dots->dot[j].name, key + prefix) == 0;
        }
        if (!found) {
            return brim_fail(g->ctx, BRIM_ERR_FILE,
                             "metadata '%s': the model has no integer dot layer of this name", key);
        }
    }
    return BRIM_OK;
}

/* The first layer that is refuted, in one sentence. */
static brim_status say_refuted(brim_ctx *ctx, const brim_certificate *cert)
{
    const brim_certificate_layer *l = cert->layers;

    while (l->proven) {
        l++;
    }
    const brim_witness *w = l->witness;
    if (w->stage == l->datapath.n_stages) {
        return brim_fail(ctx, BRIM_ERR_REFUTED,
                         "layer '%s', channel %zu: sum, zero-point correction and bias reach %lld, "
                         "which needs %u bits, expected at most %u outside the datapath",
                         l->name, w->channel, (long long)w->value, l->outside_bits,
                         BRIM_OUTSIDE_BITS);
    }
    return brim_fail(ctx, BRIM_ERR_REFUTED,
                     "layer '%s', channel %zu, stage %zu: a sum reaches %lld, which needs %u bits, "
                     "the register has %u",
                     l->name, w->channel, w->stage + 1, (long long)w->value,
                     brim_width_of(w->value, w->value), l->datapath.stage[w->stage].width);
}

static brim_status certify_one(const struct brim_graph *g, const struct brim_dot *d,
                               const brim_datapath *dp, struct brim_arena *arena,
                               brim_certificate_layer *out)
{
    if (dp == NULL && !d->has_datapath) {
        return brim_fail(g->ctx, BRIM_ERR_ARG,
                         "layer '%s': the model declares no datapath, expected one to be given",
                         d->name);
    }
    const brim_status s = brim_certify_layer(arena, d, dp != NULL ? dp : &d->datapath, out);
    if (s != BRIM_OK) {
        return brim_fail_at(g->ctx, s, "layer '%s'", d->name);
    }
    return check_fresh(g, d, out->hash);
}

static brim_status certify_all(const struct brim_graph *g, const struct brim_dots *dots,
                               const brim_datapath *dp, struct certificate *c)
{
    brim_certificate_layer *layer = brim_arena_zalloc(&c->arena, dots->count, sizeof *layer);
    size_t n = 0;

    if (layer == NULL) {
        return BRIM_ERR_NOMEM;
    }
    BRIM_TRY(check_no_orphans(g, dots));
    c->base.proven = true;
    for (size_t i = 0; i < dots->count; i++) {
        BRIM_TRY(brim_progress(g->ctx, "certify", i, dots->count));
        if (dots->dot[i].codes) {
            BRIM_TRY(certify_one(g, &dots->dot[i], dp, &c->arena, &layer[n]));
            c->base.proven = c->base.proven && layer[n].proven;
            n++;
        }
    }
    BRIM_TRY(brim_progress(g->ctx, "certify", dots->count, dots->count));
    if (n == 0) {
        return brim_fail(g->ctx, BRIM_ERR_ARG, "the model has no integer dot layer to certify");
    }
    c->base.n_layers = n;
    c->base.layers = layer;
    return BRIM_OK;
}

brim_status brim_certify(brim_ctx *ctx, const brim_graph *graph, const brim_datapath *datapath,
                         brim_certificate **cert)
{
    struct brim_dots dots;

    *cert = NULL;
    brim_clear_error(ctx);
    struct certificate *c = brim_zalloc(ctx, 1, sizeof *c);
    if (c == NULL) {
        return BRIM_ERR_NOMEM;
    }
    brim_arena_init(&c->arena, ctx);
    brim_status s = brim_dots_find(ctx, graph, &dots);
    if (s == BRIM_OK) {
        s = certify_all(graph, &dots, datapath, c);
        brim_dots_free(&dots);
    }
    if (s != BRIM_OK) {
        brim_certificate_free(&c->base);
        return s;
    }
    *cert = &c->base;
    return c->base.proven ? BRIM_OK : say_refuted(ctx, &c->base);
}

void brim_certificate_free(brim_certificate *cert)
{
    struct certificate *c = (struct certificate *)cert;

    if (c != NULL) {
        brim_ctx *ctx = c->arena.ctx;
        brim_arena_free(&c->arena);
        brim_free(ctx, c);
    }
}
