import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.FileUtil;
import org.apache.hadoop.fs.FsShell;
import org.apache.hadoop.util.ToolRunner;

/** Hadoop's s3a: streams in parts, seeks, directories, renames of trees, and the shell that `hadoop fs` is. */
public final class Main {
    static final int MIB = 1 << 20;
    static final String BUCKET = System.getenv("CLIENT_BUCKET");
    static final Path FOLDER = Path.of(System.getenv("CLIENT_FOLDER"));

    static void require(boolean claim, String what) {
        if (!claim) {
            throw new AssertionError(what);
        }
    }

    static org.apache.hadoop.fs.Path at(String key) {
        return new org.apache.hadoop.fs.Path("s3a://" + BUCKET + "/" + key);
    }

    static void left(String key, byte[] content) throws Exception {
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        System.out.println("LEFT {\"key\": \"" + key + "\", \"sha256\": \"" + digest + "\"}");
    }

    static Configuration settings() {
        Configuration settings = new Configuration();
        settings.set("fs.s3a.endpoint", System.getenv("AWS_ENDPOINT_URL"));
        settings.set("fs.s3a.endpoint.region", System.getenv("AWS_REGION"));
        settings.set("fs.s3a.access.key", System.getenv("AWS_ACCESS_KEY_ID"));
        settings.set("fs.s3a.secret.key", System.getenv("AWS_SECRET_ACCESS_KEY"));
        settings.set("fs.s3a.path.style.access", "true");
        settings.set("fs.s3a.connection.ssl.enabled", "false");
        settings.set("fs.s3a.multipart.size", "5M");
        settings.set("fs.s3a.multipart.threshold", "8M");
        settings.set("fs.s3a.fast.upload.buffer", "array");
        settings.set("hadoop.tmp.dir", FOLDER.resolve("tmp").toString());
        return settings;
    }

    static void streams(FileSystem fs) throws Exception {
        byte[] big = new byte[21 * MIB + 17];
        new Random(1).nextBytes(big);
        try (FSDataOutputStream out = fs.create(at("dir/big"))) {
            for (int start = 0; start < big.length; start += 300_000) {
                out.write(big, start, Math.min(300_000, big.length - start));
            }
        }
        require(fs.getFileStatus(at("dir/big")).getLen() == big.length, "length");
        try (FSDataInputStream in = fs.open(at("dir/big"))) {
            byte[] part = new byte[1000];
            for (int start : new int[] {big.length - 1000, 0, 5 * MIB - 500, 16 * MIB}) {
                in.seek(start);
                in.readFully(part);
                require(Arrays.equals(part, Arrays.copyOfRange(big, start, start + 1000)), "read at " + start);
            }
            byte[] all = new byte[big.length];
            in.readFully(0, all);
            require(Arrays.equals(all, big), "other bytes came back");
        }
        require(fs.rename(at("dir/big"), at("moved")), "rename");
        require(!fs.exists(at("dir/big")), "the old name is gone");
        left("moved", big);
    }

    static void directories(FileSystem fs) throws Exception {
        require(fs.mkdirs(at("a/b/c")), "mkdirs");
        require(fs.getFileStatus(at("a/b")).isDirectory(), "a/b is a directory");
        for (int number = 0; number < 30; number++) {
            try (FSDataOutputStream out = fs.create(at("a/b/c/file " + number + " +%ü"))) {
                out.write(number);
            }
        }
        require(fs.listStatus(at("a/b/c")).length == 30, "listing");
        require(fs.globStatus(at("a/*/c/file 1*")).length == 11, "glob");
        require(fs.rename(at("a"), at("z")), "rename of a tree");
        require(fs.getContentSummary(at("z")).getFileCount() == 30 && !fs.exists(at("a")), "the tree moved");
        require(fs.delete(at("z"), true) && !fs.exists(at("z")), "delete of a tree");
    }

    static void shell(Configuration settings) throws Exception {
        Path source = Files.createDirectories(FOLDER.resolve("tree/deep"));
        for (int number = 0; number < 20; number++) {
            Files.writeString(source.resolve("f" + number), "content " + number);
        }
        String to = at("shell").toString();
        for (List<String> words : List.of(
                List.of("-mkdir", "-p", to),
                List.of("-put", FOLDER.resolve("tree").toString(), to),
                List.of("-ls", "-R", to),
                List.of("-cp", to + "/tree", to + "/copy"),
                List.of("-mv", to + "/copy", to + "/moved"),
                List.of("-get", to + "/moved", FOLDER.resolve("down").toString()),
                List.of("-rm", "-r", "-skipTrash", to + "/tree"))) {
            require(ToolRunner.run(settings, new FsShell(), words.toArray(String[]::new)) == 0, words.toString());
        }
        for (int number = 0; number < 20; number++) {
            String text = Files.readString(FOLDER.resolve("down/deep/f" + number));
            require(text.equals("content " + number), text);
            left("shell/moved/deep/f" + number, text.getBytes());
        }
    }

    public static void main(String[] arguments) throws Exception {
        Configuration settings = settings();
        try (FileSystem fs = FileSystem.newInstance(at("").toUri(), settings)) {
            streams(fs);
            directories(fs);
            try (FileSystem local = FileSystem.newInstanceLocal(settings)) {
                org.apache.hadoop.fs.Path back = new org.apache.hadoop.fs.Path(FOLDER.resolve("back").toString());
                require(FileUtil.copy(fs, at("moved"), local, back, false, settings), "copy to this machine");
            }
        }
        shell(settings);
    }
}
