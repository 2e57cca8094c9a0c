package tweet_sentiment;

import io.delta.storage.HDFSLogStore;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Creates the commits of Delta tables in a folder by a hard link: of several processes that commit the same version,
 * one creates the link. Delta's own log store checks whether the file exists, and then renames its file over it.
 *
 * java_classes.py compiles this class with Janino, which does not know type parameters: what a generic method returns
 * needs a cast.
 */
public class LocalLogStore extends HDFSLogStore {
    public LocalLogStore(Configuration conf) {
        super(conf);
    }

    @Override
    public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
        List<String> lines = new ArrayList<String>();
        while (actions.hasNext()) {
            lines.add((String) actions.next());
        }
        if (overwrite || !link(path, lines)) {
            super.write(path, lines.iterator(), overwrite, conf);
        }
    }

    /** Returns false if the file system has no hard links. */
    private static boolean link(Path path, List<String> lines) throws IOException {
        java.nio.file.Path target = Paths.get(path.toUri().getPath());
        // Delta ignores names that begin with a dot.
        java.nio.file.Path temporary = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".tmp");
        try {
            Files.write(temporary, lines, StandardCharsets.UTF_8);
            Files.createLink(target, temporary);
            return true;
        } catch (FileAlreadyExistsException e) {
            throw e;
        } catch (UnsupportedOperationException e) {
            return false;
        } catch (IOException e) {
            if (Files.exists(temporary)) {
                return false;
            }
            throw e;
        } finally {
            Files.deleteIfExists(temporary);
        }
    }
}
