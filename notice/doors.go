package notice

// atRest is when what is wrong with a door is over.
var atRest = Text{"the door is read where it belongs", "扉が本来の状態にあると読み取れたとき"}

// Of doors.
var (
	NotProvenShut = declare(Kind{
		Code: "door-not-proven-shut", Severity: Critical,
		What: Text{"cannot be proven shut", "閉じたことを確認できません"},
		Next: Text{"look at the port itself; if it is up, pull the cable; shutting goes on meanwhile", "ポートそのものを見てください。リンクが上がっていればケーブルを抜きます。その間も閉じる試みは続きます"},
		Over: atRest,
	})
	ProvenAfterAll = declare(Kind{
		Code: "door-proven-shut-late", Severity: Warning,
		What: Text{"is proven shut after all", "閉鎖をようやく確認できました"},
		Next: Text{"find out why the switch did not answer: its log, its management address, the cable to it", "スイッチが応答しなかった原因を調べてください（ログ、管理アドレス、スイッチへの配線）"},
		Over: atRest,
	})
	NotReadAtStart = declare(Kind{
		Code: "door-not-read", Severity: Critical,
		What: Text{"could not be read", "状態を読み取れませんでした"},
		Next: Text{"run: airlock check --connect; it says what keeps airlock from the switch", "airlock check --connect を実行すると、スイッチに届かない原因が分かります"},
		Over: atRest,
	})
	NotReadAnyMore = declare(Kind{
		Code: "door-not-read-any-more", Severity: Critical,
		What: Text{"cannot be read any more", "状態を読み取れなくなりました"},
		Next: Text{"run: airlock check --connect; until then nobody sees whether the door is opened by another hand", "airlock check --connect を実行してください。復旧するまで、他人が扉を開けても分かりません"},
		Over: atRest,
	})
	InnerNotOpened = declare(Kind{
		Code: "inner-door-not-opened", Severity: Critical,
		What: Text{"does not open again", "再び開きません"},
		Next: Text{"departments cannot reach the repository: run airlock status, then airlock open {door} --reason TEXT", "部門から一次保管先に届きません。airlock status を見て、airlock open {door} --reason 理由 を実行してください"},
		Over: atRest,
	})
	FoundOpen = declare(Kind{
		Code: "door-found-open", Severity: Critical,
		What: Text{"was found open", "開いていました"},
		Next: Text{"airlock shuts it; look in the ledger since when: airlock audit list --kind door,patrol,alarm", "airlock が閉じます。いつからかを台帳で調べてください: airlock audit list --kind door,patrol,alarm"},
	})
	OpenedByAnother = declare(Kind{
		Code: "door-opened-by-another", Severity: Critical,
		What: Text{"was opened by another hand", "airlock 以外の手で開けられました"},
		Next: Text{"airlock shuts it; find out who has access to the switch, and change its passwords", "airlock が閉じます。スイッチを操作できる人を確かめ、パスワードを変えてください"},
	})
	OpenedMeanwhile = declare(Kind{
		Code: "door-was-opened-by-another", Severity: Critical,
		What: Text{"was opened by another hand, and is shut again", "airlock 以外の手で開けられ、再び閉じられました"},
		Next: Text{"find out who has access to the switch, and change its passwords; what stands behind the door was within reach meanwhile", "スイッチを操作できる人を確かめ、パスワードを変えてください。その間、扉の奥に届く状態でした"},
	})
	OtherPortToo = declare(Kind{
		Code: "another-port-came-up", Severity: Critical,
		What: Text{"was opened, and another port came up with it", "開けたとき、別のポートも上がりました"},
		Next: Text{"look whether one SET opened both, or somebody plugged in just then; if the port leads to the vault, shut it at the switch", "一つの命令で両方が開いたのか、ちょうどそのとき誰かがつないだのかを確かめてください。二次保管先に通じるポートなら、スイッチで閉じます"},
	})
	ByAnotherWay = declare(Kind{
		Code: "door-shut-by-second-way", Severity: Warning,
		What: Text{"is shut by another way, %s", "別の経路 %s で閉じました"},
		Next: Text{"mend the first way to the switch; airlock check --connect tries both", "スイッチへの第一の経路を直してください。airlock check --connect が両方を試します"},
	})
	ProbeProvesNothing = declare(Kind{
		Code: "probe-proves-nothing", Severity: Critical,
		What: Text{"reads as shut, and its probe can prove nothing", "閉じていると読み取れますが、応答確認では裏付けられません"},
		Next: Text{"look whether airlock's own link and the probe's control answer", "airlock 自身のリンクと、応答確認の比較先（control）が応答するか確かめてください"},
		Over: Text{"the probe proves something again", "応答確認が再び裏付けになったとき"},
	})
	ProvenBySwitchAlone = declare(Kind{
		Code: "proven-by-switch-alone", Severity: Warning,
		What: Text{"is proven shut by its switch alone", "閉鎖の確認はスイッチの返答だけによるものです"},
		Next: Text{"give the probe a host that answers while the door is open", "扉が開いている間に応答する宛先を probe に書いてください"},
	})
	TimerStays = declare(Kind{
		Code: "switch-timer-stays", Severity: Warning,
		What: Text{"is shut, and the switch's own timer could not be taken back", "閉じましたが、スイッチ側のタイマーを取り消せません"},
		Next: Text{"it shuts the port once more when it runs out, and does no harm; look at it on the switch", "時間が来るともう一度閉じるだけで、害はありません。スイッチで確かめてください"},
	})
	LeaseStays = declare(Kind{
		Code: "lease-stays", Severity: Critical,
		What: Text{"is shut, and its lease is still there", "閉じましたが、開扉許可が残っています"},
		Next: Text{"it runs out by itself; make the state folder writable", "許可は期限で切れます。状態フォルダーに書き込めるようにしてください"},
	})
	NoLease = declare(Kind{
		Code: "not-opened-no-lease", Severity: Critical,
		What: Text{"is not opened, for it got no lease", "開扉許可を出せないため、開けません"},
		Next: Text{"make the state folder writable, or free some space there", "状態フォルダーに書き込めるようにするか、空きを作ってください"},
		Over: Text{"the ledger takes entries again, and the door is where it belongs", "台帳に再び記録でき、扉が本来の状態にあるとき"},
	})
	NoIntent = declare(Kind{
		Code: "not-opened-no-ledger", Severity: Critical,
		What: Text{"is not opened, for the ledger did not take the intent", "台帳に意図を記録できないため、開けません"},
		Next: Text{"free some space in the state folder, and look at its disk", "状態フォルダーの空きを増やし、ディスクを確かめてください"},
		Over: Text{"the ledger takes entries again, and the door is where it belongs", "台帳に再び記録でき、扉が本来の状態にあるとき"},
	})
	WatcherDeaf = declare(Kind{
		Code: "watcher-deaf", Severity: Warning,
		What: Text{"is shut, and its watcher does not hear it", "閉じましたが、立会役に伝わりません"},
		Next: Text{"it shuts the door once more, and ends", "立会役はもう一度閉じて終わります"},
	})
	NotItsPort = declare(Kind{
		Code: "door-is-another-port", Severity: Critical,
		What: Text{"is not the port that it was, so nothing is sent to it", "以前と違うポートを指しているため、何も送りません"},
		Next: Text{"look at the old port; if the policy is right as it is now: airlock accept --door {door} --reason TEXT", "元のポートを確かめ、今の設定が正しければ: airlock accept --door {door} --reason 理由"},
	})
	NoPortOfItsOwn = declare(Kind{
		Code: "door-has-no-port", Severity: Critical,
		What: Text{"has no port of its own, so no window opens it", "この扉だけのポートがないため、開扉しません"},
		Next: Text{"give each door a port of its own in the policy file; airlock ports lists them", "設定ファイルで扉ごとに別のポートを指定してください。一覧は airlock ports"},
	})
	OtherPortBySecondWay = declare(Kind{
		Code: "second-way-is-another-port", Severity: Critical,
		What: Text{"is another port by its second way, so no window opens it", "第二の経路では別のポートになるため、開扉しません"},
		Next: Text{"set right fallback_port in the policy file; airlock ports lists the ports of both ways", "設定ファイルの fallback_port を直してください。両方の経路のポートは airlock ports で分かります"},
	})
	PortInLedgerAlone = declare(Kind{
		Code: "port-in-ledger-alone", Severity: Warning,
		What: Text{"its port is kept in the ledger alone", "この扉のポートの控えが台帳にしかありません"},
		Next: Text{"make the state folder writable", "状態フォルダーに書き込めるようにしてください"},
	})
	PortNotKnown = declare(Kind{
		Code: "port-not-known", Severity: Warning,
		What: Text{"it is not known which port it was", "以前どのポートだったか分かりません"},
		Next: Text{"look at the ledger: airlock audit verify", "台帳を確かめてください: airlock audit verify"},
	})
	PortDiffers = declare(Kind{
		Code: "port-differs-from-state", Severity: Critical,
		What: Text{"its port is not the one that the state folder says", "状態フォルダーの控えとポートが違います"},
		Next: Text{"the ledger's port is used; find out who wrote to the state folder", "台帳にあるポートを使います。状態フォルダーを書き換えたのが誰かを調べてください"},
	})
	NoTraps = declare(Kind{
		Code: "no-traps", Severity: Warning,
		What: Text{"traps are not received; doors are looked at by the clock alone", "トラップを受け取れません。扉の確認は定期の巡回だけになります"},
		Next: Text{"free the address in traps.listen, or name another", "traps.listen のアドレスを空けるか、別のものにしてください"},
	})
)

// Of a lockdown, and of the guard.
var (
	LockdownStands = declare(Kind{
		Code: "lockdown", Severity: Critical,
		What: Text{"the lockdown stands", "封鎖中です"},
		Next: Text{"once the danger is over, another person ends it: airlock release --reason TEXT", "危険が去ったら、別の人が解除します: airlock release --reason 理由"},
		Over: Text{"it was released", "解除されたとき"},
	})
	LockdownUnknown = declare(Kind{
		Code: "lockdown-unknown", Severity: Critical,
		What: Text{"nobody knows whether there is a lockdown", "封鎖中かどうかが分かりません"},
		Next: Text{"have the state folder and the ledger readable again; nothing is opened meanwhile", "状態フォルダーと台帳を読めるようにしてください。その間は何も開けません"},
		Over: Text{"it can be read again", "再び読めたとき"},
	})
	LockdownNotKept = declare(Kind{
		Code: "lockdown-not-kept", Severity: Critical,
		What: Text{"the lockdown would not outlive this executor", "実行役が再起動すると封鎖が失われます"},
		Next: Text{"make the state folder writable, then airlock lockdown --reason TEXT again", "状態フォルダーに書き込めるようにして、もう一度 airlock lockdown --reason 理由 を実行してください"},
	})
	ReleaseRefused = declare(Kind{
		Code: "release-refused", Severity: Critical,
		What: Text{"somebody tried to end the lockdown", "封鎖を解除しようとした人がいます"},
		Next: Text{"ask whoever it was; the ledger has the login", "誰が行ったか確かめてください。ログイン名は台帳にあります"},
	})
	NoGuard = declare(Kind{
		Code: "no-guard", Severity: Critical,
		What: Text{"nobody guards the doors: is airlock guard running?", "扉の見張りがいません。airlock guard は動いていますか"},
		Next: Text{"run: systemctl status airlock-guard; if it runs, its folder has no room for its sign of life, else start it", "systemctl status airlock-guard を見て、動いていれば見張りのフォルダーの空きを、止まっていれば起動してください"},
		Over: Text{"the guard is heard of again", "見張りが再び確認できたとき"},
	})
	GuardLedgerChanged = declare(Kind{
		Code: "guard-ledger-changed", Severity: Critical,
		What: Text{"the guard's ledger is not what it was", "見張りの台帳が以前のものと違います"},
		Next: Text{"find out who moved it, and put the very file back", "誰が動かしたかを調べ、元のファイルを戻してください"},
	})
	LeaselessOpen = declare(Kind{
		Code: "open-without-lease", Severity: Critical,
		What: Text{"stands open without a lease", "開扉許可のないまま開いています"},
		Next: Text{"the guard shuts it; look why the executor did not: airlock status", "見張りが閉じます。実行役が閉じなかった原因を調べてください: airlock status"},
	})
	OpenInLockdown = declare(Kind{
		Code: "open-in-lockdown", Severity: Critical,
		What: Text{"stands open in a lockdown", "封鎖中に開いています"},
		Next: Text{"the guard shuts it; find out who opened it", "見張りが閉じます。誰が開けたかを調べてください"},
	})
	LeaselessUnread = declare(Kind{
		Code: "unread-without-lease", Severity: Critical,
		What: Text{"cannot be read, and has no lease", "状態を読み取れず、開扉許可もありません"},
		Next: Text{"look at the port itself, and why the guard does not reach the switch", "ポートそのものを見て、見張りがスイッチに届かない原因を調べてください"},
		Over: atRest,
	})
	UnreadInLockdown = declare(Kind{
		Code: "unread-in-lockdown", Severity: Critical,
		What: Text{"cannot be read in a lockdown", "封鎖中に状態を読み取れません"},
		Next: Text{"look at the port itself, and why the guard does not reach the switch", "ポートそのものを見て、見張りがスイッチに届かない原因を調べてください"},
		Over: atRest,
	})
	TwoGuards = declare(Kind{
		Code: "two-guards", Severity: Warning,
		What: Text{"two guards may run with one ledger", "ひとつの台帳で見張りがふたつ動いているかもしれません"},
		Next: Text{"end one of them: systemctl status airlock-guard, and look who else started one", "片方を終わらせてください。systemctl status airlock-guard を見て、ほかに誰が起動したかを調べます"},
	})
	GuardCannotShut = declare(Kind{
		Code: "guard-cannot-shut", Severity: Critical,
		What: Text{"cannot be shut", "閉じられません"},
		Next: Text{"pull the cable of the port; the guard goes on trying", "ポートのケーブルを抜いてください。見張りは閉じる試みを続けます"},
		Over: atRest,
	})
)
