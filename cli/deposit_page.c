#include "cli/deposit_page.h"

#include "base/ascii.h"
#include "cli/deposit_about.h"
#include "cli/output.h"

enum {
    TEXT_MAX = 4 * POLICY_BYTES_MAX, /* the quorum rule of the largest policy */
    BEIJING_SECONDS = 8 * 3600
};

#define NOTHING ((struct span){ NULL, 0 })

struct deposit_time deposit_time(uint64_t seconds)
{
    struct deposit_time out;
    struct output_time beijing = output_time(seconds + BEIJING_SECONDS);
    if (strlen(beijing.text) == sizeof "2026-11-24T18:44:16Z" - 1) {
        beijing.text[10] = ' ';
        beijing.text[19] = '\0';
    }
    snprintf(out.text, sizeof out.text, "%s 北京时间 (UTC+8), %s", beijing.text,
             output_time(seconds).text);
    return out;
}

static void draw_code(const struct deposit_page_sink *sink, const char *zh, const char *en,
                      struct buf *text)
{
    sink->row_code(sink->ctx, zh, en, buf_span(text));
    buf_reset(text);
}

static void draw_hex(const struct deposit_page_sink *sink, const char *zh, const char *en,
                     const struct hash *hash)
{
    struct buf text = BUF_INIT(2 * HASH_BYTES);
    hex_put(&text, hash_span(hash));
    draw_code(sink, zh, en, &text);
    buf_clear(&text);
}

static void draw_vkey(const struct deposit_page_sink *sink, const char *zh, const char *en,
                      const struct vkey *vkey)
{
    struct buf text = BUF_INIT(64 * 1024);
    vkey_put(&text, vkey);
    draw_code(sink, zh, en, &text);
    buf_clear(&text);
}

static void draw_words(const struct deposit_page_sink *sink, const char *label_zh,
                       const char *label_en, const char *zh, const char *en)
{
    sink->row(sink->ctx, label_zh, label_en, span_of_str(zh), span_of_str(en));
}

static void draw_document(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    const struct deposit *deposit = page->deposit;
    char size[64];
    sink->section(sink->ctx, "一、所存文件", "1. The document");
    if (deposit->fields[DEPOSIT_DOCUMENT_NAME].len > 0) {
        sink->row(sink->ctx, "名称（持有人自称）", "Name, as given by the holder", NOTHING,
                  deposit->fields[DEPOSIT_DOCUMENT_NAME]);
    }
    draw_hex(sink, "SHA-256 摘要", "SHA-256 digest", &deposit->document);
    snprintf(size, sizeof size, "%ju", (uintmax_t)deposit->document_bytes);
    sink->row_code(sink->ctx, "大小（字节）", "Size in bytes", span_of_str(size));
    if (deposit->kind == DEPOSIT_IS_ENTRY) {
        draw_words(sink, "在日志中", "On the log", "文件本身即为日志条目",
                   "the document itself is the entry");
        draw_hex(sink, "叶哈希", "Leaf hash", &page->judgement->leaf);
        sink->paragraph(
            sink->ctx,
            "日志证明的是叶哈希，即 SHA-256(0x00 与文件内容)。SHA-256 摘要和大小须与文件一并核对。",
            "What the log proves is the leaf hash: SHA-256 of a zero byte and the document. The "
            "digest and "
            "the size above are to be compared with the document itself.");
        return;
    }
    draw_words(sink, "在日志中", "On the log", "操作记录以加盐承诺的方式含有文件摘要",
               "an operation record commits to the digest, under a salt");
    sink->row_code(sink->ctx, "记录种类", "Kind of record",
                   span_of_str(page->judgement->operation.kind->name));
    draw_hex(sink, "记录的叶哈希", "Leaf hash of the record", &page->judgement->leaf);
    sink->paragraph(sink->ctx, "承诺只覆盖摘要；文件大小由出证人声明。",
                    "The commitment covers the digest; the size is stated by the issuer.");
}

static void draw_deposit(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    const struct deposit_judgement *judgement = page->judgement;
    const struct checkpoint *checkpoint = &judgement->checkpoint.checkpoint;
    struct buf text = BUF_INIT(512);
    sink->section(sink->ctx, "二、存证", "2. The deposit");
    deposit_code_put_number(&text, &judgement->code);
    draw_code(sink, "存证编号", "Deposit number", &text);
    sink->row(sink->ctx, "日志", "Log (origin)", NOTHING, span_of_str(checkpoint->origin));
    draw_vkey(sink, "日志公钥", "Key of the log", &judgement->checkpoint.log->vkey);
    buf_putf(&text, "%ju / %ju", (uintmax_t)judgement->receipt.index, (uintmax_t)checkpoint->size);
    draw_code(sink, "条目序号 / 树的大小", "Index / size of the tree", &text);
    base64_put_hash(&text, &checkpoint->root);
    draw_code(sink, "树根", "Root of the tree", &text);
    struct span address = page->deposit->fields[DEPOSIT_ADDRESS];
    deposit_code_put(&text, &judgement->code);
    draw_code(sink, "核验码", "Code of the document", &text);
    if (address.len > 0) {
        sink->row_code(sink->ctx, "核验网页（请自行输入网址）", "Page to type in", address);
        deposit_code_put_link(&text, &judgement->code, address);
    } else {
        deposit_code_put(&text, &judgement->code);
    }
    sink->link(sink->ctx, buf_span(&text));
    crypto_wipe_buf(&text);
    sink->paragraph(
        sink->ctx,
        "持有本证书即持有核验码：凭码可在日志中查到该文件的条目。请像保管文件一样保管本证书。",
        "Whoever holds this certificate holds the code, and can find the entry of the document "
        "with it. "
        "Keep the certificate as you keep the document.");
}

static void draw_times(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    const struct deposit_judgement *judgement = page->judgement;
    sink->section(sink->ctx, "三、时间", "3. When");
    struct deposit_time time = deposit_time(judgement->no_later_than);
    sink->row_code(sink->ctx, "记入日志不迟于", "In the log no later than", span_of_str(time.text));
    if (judgement->has_anchor) {
        time = deposit_time(judgement->anchor.time_s);
        sink->row_code(sink->ctx, "排入日志在此之后", "Sequenced after", span_of_str(time.text));
    } else {
        draw_words(sink, "排入日志在此之后", "Sequenced after", "本证书无此证据",
                   "no evidence of it in this certificate");
    }
    sink->paragraph(
        sink->ctx, "时间取自达到法定数的见证方各自的时钟，不取自日志的时钟。",
        "Both are told by the clocks of a quorum of witnesses, never by the clock of the log.");
}

static void draw_witness(const struct deposit_page *page, const struct deposit_page_sink *sink,
                         size_t i)
{
    const struct policy_witness *witness = policy_witness_at(page->policy, i);
    sink->row(sink->ctx, "见证方", "Witness", NOTHING, span_of_str(witness->name));
    draw_vkey(sink, "公钥", "Key", &witness->vkey);
    if (page->judgement->checkpoint.cosigned.has[i]) {
        struct deposit_time time = deposit_time(page->judgement->checkpoint.timestamps[i]);
        sink->row_code(sink->ctx, "见证时间", "Cosigned at", span_of_str(time.text));
    } else {
        draw_words(sink, "见证时间", "Cosigned at", "无可核验的见证签名",
                   "no cosignature that verifies");
    }
}

static void draw_witnesses(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    sink->section(sink->ctx, "四、见证方与策略", "4. Witnesses and policy");
    for (size_t i = 0; i < policy_witness_count(page->policy); i++) {
        draw_witness(page, sink, i);
    }
    policy_put_rule(&text, page->policy);
    sink->row(sink->ctx, "法定数（已达到）", "Quorum (reached)", NOTHING, buf_span(&text));
    buf_reset(&text);
    buf_putf(&text, "%zu", policy_f(page->policy));
    draw_code(sink, "f：作假所需的见证方数", "f: witnesses needed to cheat", &text);
    buf_clear(&text);
    draw_hex(sink, "策略文件 SHA-256", "SHA-256 of the policy", policy_hash(page->policy));
    sink->paragraph(sink->ctx,
                    "日志若要对不同的人出示不同的历史而不被签名揭穿，至少须有 f "
                    "个见证方与其串通。策略由核验人自行取得，"
                    "不取自本证书。",
                    "To show two histories the log needs f evil witnesses at least. Whoever checks "
                    "gets the policy from "
                    "a source of their own, not from this certificate.");
}

static void draw_technique(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    const struct deposit *deposit = page->deposit;
    sink->section(sink->ctx, "五、技术", "5. Technique");
    draw_words(sink, "算法", "Algorithms",
               "SHA-256（FIPS 180-4）；默克尔树（RFC 6962）；签名算法见各公钥，Ed25519（RFC 8032）",
               "SHA-256 (FIPS 180-4); Merkle tree of RFC 6962; signatures as each key says, "
               "Ed25519 (RFC 8032)");
    draw_words(sink, "格式", "Formats",
               "C2SP tlog-proof、tlog-checkpoint、tlog-cosignature、tlog-policy",
               "C2SP tlog-proof, tlog-checkpoint, tlog-cosignature, tlog-policy");
    sink->row(sink->ctx, "出证程序", "Made by", NOTHING, deposit->fields[DEPOSIT_PROGRAM]);
    draw_hex(sink, "程序文件 SHA-256", "SHA-256 of the program file", &deposit->executable);
}

static void draw_statements(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    static const struct {
        const char *zh, *en;
    } labels[DEPOSIT_STATEMENTS] = {
        [DEPOSIT_OPERATOR] = { "运营者", "Operator" },
        [DEPOSIT_WITNESSES] = { "见证方及其独立性", "Witnesses, their independence" },
        [DEPOSIT_ENVIRONMENT] = { "运行环境", "Environment" },
        [DEPOSIT_TIME_SOURCES] = { "时间源", "Time sources" },
        [DEPOSIT_KNOWN_GAPS] = { "已知缺口", "Known gaps" },
        [DEPOSIT_CONTACT] = { "联系方式", "Contact" },
    };
    struct deposit_about about;
    struct err err;
    if (deposit_about_parse(&about, page->deposit->fields[DEPOSIT_ABOUT], &err) != E_OK) {
        return; /* deposit_parse has read it */
    }
    sink->section(sink->ctx, "六、出证人的声明（未经证明）", "6. Stated by the issuer, not proved");
    for (size_t i = 0; i < DEPOSIT_STATEMENTS; i++) {
        struct span zh = about.zh[i], en = about.en[i];
        if (zh.len == 0 && en.len == 0) {
            draw_words(sink, labels[i].zh, labels[i].en, "未声明", "not stated");
        } else {
            sink->row(sink->ctx, labels[i].zh, labels[i].en, en.len > 0 ? zh : NOTHING,
                      en.len > 0 ? en : zh);
        }
    }
}

static void draw_limits(const struct deposit_page_sink *sink)
{
    sink->section(sink->ctx, "七、本证书不说明的事", "7. What this does not say");
    sink->paragraph(
        sink->ctx,
        "本证书说明文件自存入之时起未被改动，不说明存入之前内容是否真实、由谁制作、如何取得。",
        "It shows that the document has not changed since it was deposited. It says nothing about "
        "the truth "
        "of the document before that, who made it, or how it was obtained.");
    sink->paragraph(sink->ctx, "本证书陈述事实，不作法律结论；证据如何采信由审理者判断。",
                    "It states facts and draws no legal conclusion: what the evidence is worth is "
                    "for the court to "
                    "decide.");
    sink->paragraph(sink->ctx, "出证之后日志有无异常，本证书无从得知；请另向监测方查询。",
                    "Whether the log misbehaved later it cannot know: ask a monitor.");
}

static void draw_how(const struct deposit_page_sink *sink)
{
    sink->section(sink->ctx, "八、如何核验", "8. How to check");
    sink->paragraph(sink->ctx,
                    "网页：自行输入上列网址（不要扫码打开不明网址），再把二维码扫入该网页，并选取文"
                    "件。文件不会上传。",
                    "Page: type the address yourself, scan the code into the page, choose the "
                    "document. It is not "
                    "uploaded.");
    sink->paragraph(sink->ctx, "离线：courtroll verify --policy 策略文件 本证书文件 所存文件",
                    "Offline: courtroll verify --policy POLICY THIS-FILE DOCUMENT");
    sink->paragraph(
        sink->ctx, "手工：只用 sha256sum、openssl 和 Python，步骤见 docs/certificate.md。",
        "By hand, with sha256sum, openssl and Python only: docs/certificate.md says how.");
}

static void draw_files(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    sink->section(sink->ctx, "九、证明全文", "9. The proof in full");
    sink->block(sink->ctx, "证明（tlog-proof）", "The proof (tlog-proof)",
                page->deposit->fields[DEPOSIT_PROOF]);
    sink->block(sink->ctx, "策略（核验人应另行取得）", "The policy (to be had from elsewhere)",
                page->deposit->fields[DEPOSIT_POLICY]);
    struct hash digest = sha256(page->data);
    sink->data(sink->ctx, &digest, page->data);
}

void deposit_page_draw(const struct deposit_page *page, const struct deposit_page_sink *sink)
{
    struct buf number = BUF_INIT(DEPOSIT_NUMBER_BYTES_MAX);
    deposit_code_put_number(&number, &page->judgement->code);
    sink->title(sink->ctx, buf_span(&number));
    buf_clear(&number);
    sink->paragraph(
        sink->ctx,
        "下列文件已存入由多个见证方共同见证的日志。除标明为声明者外，以下各项均由所附证明核验得出，"
        "任何人可离线复核。",
        "The document below has been deposited in a log that several witnesses watch. All that "
        "follows is computed from the proof attached, and can be checked by anyone offline, but "
        "for "
        "what is marked as stated.");
    draw_document(page, sink);
    draw_deposit(page, sink);
    draw_times(page, sink);
    draw_witnesses(page, sink);
    draw_technique(page, sink);
    draw_statements(page, sink);
    draw_limits(sink);
    draw_how(sink);
    draw_files(page, sink);
}
