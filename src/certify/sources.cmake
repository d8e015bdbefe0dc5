target_sources(brim PRIVATE src/certify/certify.c src/certify/certify_target.c src/certify/certificate.c src/certify/prove.c
                            src/certify/prove_target.c)
