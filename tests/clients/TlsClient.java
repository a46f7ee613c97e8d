import java.io.FileInputStream;
import java.io.FileWriter;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

/**
 * Java's own HTTP client against a server with TLS:
 *
 * java TlsClient.java URL FOLDER VERSION NAME
 *
 * It posts batches of events on two kept connections, and on new ones, until its input ends.
 * FOLDER has ca.pem, client.p12, and gets NAME.acks: the number of the first event of each
 * batch that was acknowledged, and of how many. VERSION is 1.2 or 1.3. It prints
 * sent=... acked=... failed=..., and each failure. The client offers HTTP/2 first, as it does
 * by default.
 */
public class TlsClient {
    static final int EVENTS = 10, FRESH = 5;
    static final AtomicBoolean over = new AtomicBoolean();

    static SSLContext context(Path folder) throws Exception {
        KeyStore trust = KeyStore.getInstance(KeyStore.getDefaultType());
        KeyStore own = KeyStore.getInstance("PKCS12");
        char[] word = "secret".toCharArray();
        try (var in = new FileInputStream(folder.resolve("ca.pem").toFile())) {
            trust.load(null, null);
            trust.setCertificateEntry("ca",
                CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        try (var in = new FileInputStream(folder.resolve("client.p12").toFile())) {
            own.load(in, word);
        }
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        var authorities =
            TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        keys.init(own, word);
        authorities.init(trust);
        SSLContext c = SSLContext.getInstance("TLS");
        c.init(keys.getKeyManagers(), authorities.getTrustManagers(), null);
        return c;
    }

    static class Sender extends Thread {
        final URI url;
        final String name, version;
        final SSLContext context;
        final int number;
        final boolean kept;
        final List<String> acks = new ArrayList<>(), failures = new ArrayList<>();
        int sent;
        HttpClient client;

        Sender(String url, String name, String version, SSLContext context, int number,
            boolean kept) {
            this.url = URI.create(url);
            this.name = name;
            this.version = version;
            this.context = context;
            this.number = number;
            this.kept = kept;
        }

        void send(int first) throws Exception {
            var body = new StringBuilder("[");
            for (int i = 0; i < EVENTS; i++) {
                body.append(i > 0 ? "," : "").append("{\"client\":\"").append(name)
                    .append("\",\"n\":").append(first + i).append('}');
            }
            if (client == null || (!kept && sent % FRESH == 0)) {
                var parameters = new SSLParameters();
                parameters.setProtocols(new String[] {"TLSv" + version});
                client = HttpClient.newBuilder().sslContext(context)
                    .sslParameters(parameters).connectTimeout(Duration.ofSeconds(30)).build();
            }
            HttpResponse<String> a = client.send(
                HttpRequest.newBuilder(url).timeout(Duration.ofSeconds(60))
                    .header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString(body.append(']').toString()))
                    .build(),
                HttpResponse.BodyHandlers.ofString());
            String protocol = a.sslSession().get().getProtocol();
            if (a.statusCode() != 202 || a.version() != HttpClient.Version.HTTP_1_1
                || !protocol.equals("TLSv" + version)) {
                throw new Exception(a.statusCode() + " by " + a.version() + ", " + protocol
                    + ": " + a.body());
            }
        }

        @Override
        public void run() {
            for (; !over.get(); sent++) {
                int first = (number * 100000 + sent) * EVENTS;
                try {
                    send(first);
                    acks.add(first + " " + EVENTS + "\n");
                    Thread.sleep(20);
                } catch (Exception e) {
                    failures.add(e.toString());
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[1]);
        SSLContext context = context(folder);
        List<Sender> all = new ArrayList<>();
        int sent = 0, acked = 0, failed = 0;

        for (int i = 0; i < 3; i++) {
            all.add(new Sender(args[0], args[3], args[2], context, i, i < 2));
        }
        all.forEach(Thread::start);
        while (System.in.read() >= 0) {
        }
        over.set(true);
        try (var file = new FileWriter(folder.resolve(args[3] + ".acks").toFile())) {
            for (Sender s : all) {
                s.join();
                for (String line : s.acks) {
                    file.write(line);
                }
                for (String why : s.failures) {
                    System.out.println("failure: " + why);
                }
                sent += s.sent;
                acked += s.acks.size();
                failed += s.failures.size();
            }
        }
        System.out.println("sent=" + sent + " acked=" + acked + " failed=" + failed);
        System.exit(0);
    }
}
