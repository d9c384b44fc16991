/* disk_states.c: what may be left of two writes? A program of the simulated disk alone. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <powercut/disk.h>
#include <powercut/posix.h>

int main(void)
{
    struct pc_disk_config config = {.model = PC_POSIX, .unit = 512};
    struct pc_disk *disk = pc_disk_new(&config);
    struct pc_image *image;
    mpz_t states;
    int fd;

    pc_mount("/simulated", disk);
    fd = open("/simulated/file", O_CREAT | O_WRONLY, 0666);
    if (fd < 0 || write(fd, "one", 3) != 3 || fsync(fd) || pwrite(fd, "two", 3, 0) != 3)
        return 1;
    close(fd);
    pc_mount("/simulated", NULL);

    mpz_init(states);
    image = pc_image_new(disk, pc_disk_call_count(disk)); /* the power fails now */
    pc_image_begin(image, NULL, PC_FILL_ZERO);
    if (!pc_image_count(image, 1000000, states))
        return 1;
    gmp_printf("%Zd states under %s\n", states, pc_model_name(config.model));
    mpz_clear(states);
    pc_image_free(image);
    pc_disk_free(disk);
    return 0;
}
