target_sources(brim PRIVATE src/certify/certify.c src/certify/certificate.c src/certify/prove.c)
