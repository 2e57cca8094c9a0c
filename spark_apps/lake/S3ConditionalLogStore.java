package tweet_sentiment;

import io.delta.storage.S3SingleDriverLogStore;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Arrays;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options.CreateFileOptionKeys;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.s3a.AWSBadRequestException;
import org.apache.hadoop.fs.s3a.RemoteFileChangedException;

/**
 * Creates the commits of Delta tables with If-None-Match: of several processes that commit the same version, S3
 * accepts one.
 *
 * java_classes.py compiles this class with Janino, which does not know type parameters: what a generic method returns
 * needs a cast.
 */
public class S3ConditionalLogStore extends S3SingleDriverLogStore {
    private static final int CONFLICT = 409;
    private static final int ATTEMPTS = 10;
    private static final long PAUSE_MILLIS = 200;
    private static final Set<String> CHECKED_BUCKETS = ConcurrentHashMap.newKeySet();

    public S3ConditionalLogStore(Configuration conf) {
        super(conf);
    }

    @Override
    public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
        if (overwrite) {
            super.write(path, actions, overwrite, conf);
            return;
        }
        StringBuilder lines = new StringBuilder();
        while (actions.hasNext()) {
            lines.append((String) actions.next()).append('\n');
        }
        FileSystem fs = path.getFileSystem(conf);
        byte[] content = lines.toString().getBytes(StandardCharsets.UTF_8);
        create(fs, path, content);
        checkSupport(fs, path, content);
    }

    private static void create(FileSystem fs, Path path, byte[] content) throws IOException {
        for (int attempt = 1;; attempt++) {
            try {
                put(fs, path, content);
                return;
            } catch (IOException failure) {
                if (!isRefusal(failure)) {
                    throw failure;
                }
                // S3 may have refused the retry of a request that succeeded, but whose response was lost.
                if (fs.exists(path)) {
                    if (hasContent(fs, path, content)) {
                        return;
                    }
                    throw new FileAlreadyExistsException(path.toString());
                }
                if (!isUndecided(failure) || attempt == ATTEMPTS) {
                    throw failure;
                }
                pause();
            }
        }
    }

    private static boolean isRefusal(IOException failure) {
        return failure instanceof RemoteFileChangedException // 412: the file exists
            || failure instanceof FileNotFoundException // 404: the multipart upload of a large commit has ended
            || isUndecided(failure);
    }

    /** Whether S3 asks for a repetition, because another request for the same file was in progress. */
    private static boolean isUndecided(IOException failure) {
        return failure instanceof AWSBadRequestException
            && ((AWSBadRequestException) failure).statusCode() == CONFLICT;
    }

    private static void put(FileSystem fs, Path path, byte[] content) throws IOException {
        FSDataOutputStreamBuilder file = fs.createFile(path);
        file.must(CreateFileOptionKeys.FS_OPTION_CREATE_CONDITIONAL_OVERWRITE, true);
        FSDataOutputStream stream = (FSDataOutputStream) file.build();
        stream.write(content);
        // Not in a finally block: closing the stream after an error would create an incomplete file.
        stream.close();
    }

    /**
     * Once for each bucket, repeats a request that S3 must refuse: a service that ignores If-None-Match accepts it, and
     * stores the same content again.
     */
    private static void checkSupport(FileSystem fs, Path path, byte[] content) throws IOException {
        String bucket = fs.getUri().getAuthority();
        if (CHECKED_BUCKETS.contains(bucket)) {
            return;
        }
        try {
            put(fs, path, content);
        } catch (RemoteFileChangedException e) {
            CHECKED_BUCKETS.add(bucket);
            return;
        } catch (IOException e) {
            return; // The commit has succeeded: the next one repeats the check.
        }
        throw new IOException("the S3 service of bucket " + bucket + " ignores If-None-Match, so that a second writer"
            + " would overwrite commits: use a service with conditional writes");
    }

    private static boolean hasContent(FileSystem fs, Path path, byte[] content) throws IOException {
        if (fs.getFileStatus(path).getLen() != content.length) {
            return false;
        }
        byte[] stored = new byte[content.length];
        FSDataInputStream stream = fs.open(path);
        try {
            stream.readFully(0, stored);
        } finally {
            stream.close();
        }
        return Arrays.equals(stored, content);
    }

    private static void pause() throws IOException {
        try {
            Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException e) {
            throw new InterruptedIOException(e.getMessage());
        }
    }
}
