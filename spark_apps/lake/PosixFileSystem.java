package tweet_sentiment;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;

/**
 * Sets the permissions of a file by a system call. Without Hadoop's native library, which the pyspark package lacks,
 * RawLocalFileSystem starts the program chmod for each new file.
 */
public class PosixFileSystem extends RawLocalFileSystem {
    @Override
    public void setPermission(Path path, FsPermission permission) throws IOException {
        Files.setAttribute(
            pathToFile(path).toPath(), "unix:mode", Integer.valueOf(permission.toShort()), new LinkOption[0]);
    }
}
