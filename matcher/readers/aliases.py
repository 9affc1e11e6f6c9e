"""The fields of every kind of record and the column names that real exports use for them, best first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

_Aliases = dict[str, tuple[str, ...]]


def _names(text_by_field: dict[str, str]) -> _Aliases:
    return {field: tuple(text.split()) for field, text in text_by_field.items()}


# Fields that every kind has. The names of a kind go before these.
_COMMON = _names(
    {
        "source_id": "id 编号 记录编号 数据编号 唯一标识 uuid",
        "title": "标题 题名 题目",
        "abstract": "摘要 简介 详细描述 描述 description",
        "institution": "单位 单位名称 所属单位 institution.name institution_name organization",
        "province": "省份 省 所在省份 所在省 所属省份 省市区 省(自治区、直辖市) region.province",
        "city": "城市 市 地市 所在市 所在城市 所属城市 地级市",
        "county": "区县 县区 县 区 县(市、区) 所在区县 所属区县 district",
        "region": "所在地区 所属地区 地区 区域 所在地 所属区域 行政区划 地址 单位地址 address",
        "date": "日期 发布日期 发布时间 提交日期 提交时间 创建时间 更新时间 时间 publish_date",
        "keywords": "关键词 关键字 主题词 技术关键词 标签 keyword tags",
        "programmes": "专项 所属专项 转化专项 专项名称 所属转化专项 programme programs program",
        "contact": """
            联系人 联系人姓名 联系电话 联系方式 联系人电话 联系人及电话 电话 手机 手机号 邮箱
            电子邮箱 phone email
        """,
        "visibility": "公开范围 可见范围 是否公开 公开程度 公开方式",
        "url": "链接 网址 详情链接 原文链接 来源链接 网页链接 详情页 link",
    }
)

_ACHIEVEMENT = _names(
    {
        "source_id": "achievement_id 成果编号 成果登记号 登记号 成果登记编号 项目编号",
        "title": """
            成果名称 科技成果名称 项目名称 名称 标题 achievement_title achievement_name 成果标题
            技术名称 成果题目 项目(成果)名称
        """,
        "abstract": """
            成果简介 成果介绍 技术简介 成果摘要 项目简介 成果描述 技术介绍 简介 内容 摘要 成果内容
            主要内容 技术内容 技术描述 成果概述 text content
        """,
        "institution": """
            完成单位 第一完成单位 主要完成单位 成果完成单位 持有单位 成果持有单位 成果持有人
            所属单位 单位名称 成果单位 成果所属单位 所属机构 机构名称 研发单位 依托单位 高校名称
            学校
        """,
        "date": "完成日期 完成时间 登记日期 登记时间 成果完成时间 研究结束时间 年度 年份 year",
        "maturity": "成熟度 所处阶段 成果阶段 技术成熟度 成果成熟度 成熟程度 研发阶段 所属阶段",
        "cooperation": "转化方式 合作方式 成果转化方式 拟转化方式 合作模式 意向合作方式 转让方式",
        "status": "转化状态 成果状态 转化情况 成果转化状态 交易状态 签约情况 签约状态 是否签约",
    }
)

_PATENT = _names(
    {
        "source_id": "patent_id 专利编号",
        "title": "专利名称 发明名称 标题 名称 专利标题 标题(中文) 题名 标题(翻译) patent_title",
        "abstract": "摘要 摘要(中文) 专利摘要 摘要(翻译) 中文摘要 text",
        "institution": """
            申请(专利权)人 专利权人 当前权利人 当前专利权人 申请人 assignee 申请人名称 专利申请人
            第一申请人 标准化申请人 当前申请(专利权)人 标准化当前权利人 权利人 assignees applicant
            applicants
        """,
        "region": "申请人地址 申请(专利权)人地址 专利权人地址 申请人所在地",
        "publication_number": """
            公开(公告)号 授权公告号 公开号 公告号 公布号 申请公布号 专利号 公开公告号
            publication_numbers pub_number publication_no patent_number
        """,
        "application_number": "申请号 专利申请号 application_no app_number",
        "ipc": """
            IPC分类号 IPC IPC主分类号 主分类号 IPC分类 IPC主分类 分类号 ipc_subclasses IPC号
            国际专利分类号 ipc_codes ipc_class IPC(主分类)
        """,
        "legal_status": "法律状态 当前法律状态 专利状态 法律状态/事件 专利有效性 简单法律状态",
        "application_date": "申请日 申请日期 专利申请日 申请时间 filing_date",
        "publication_date": """
            公开(公告)日 公开日 公告日 授权公告日 授权日 授权日期 公开日期 公告日期 公布日
            申请公布日 pub_date publish_date
        """,
        "inventors": "发明人 发明(设计)人 发明人名称 设计人 inventor",
        "kind_code": "文献种类代码 文献种类 文献类型代码 公开类型代码",
    }
)

_NEED = _names(
    {
        "source_id": "need_id 需求编号 需求id 难题编号 榜单编号 demand_id",
        "title": """
            需求名称 技术需求名称 需求题目 难题名称 需求标题 技术难题名称 标题 项目名称 名称
            榜单名称 需求项目名称 企业技术需求名称 技术需求 need_title
        """,
        "abstract": """
            需求描述 需求内容 技术需求描述 技术需求内容 主要内容 难题描述 需求详情 需求简介
            技术需求简介 需求说明 难题内容 需求概述 内容 text content
        """,
        "institution": """
            企业名称 需求单位 单位名称 enterprise 需求企业 需求方 公司名称 企业单位名称 发布单位
            发榜单位 enterprise_name company
        """,
        "industry": "所属行业 行业 行业领域 技术领域 所属领域 所属技术领域 行业类别 产业领域",
        "budget": """
            拟投入资金 投入资金 预算 意向金额 拟投入金额 投资金额 拟投入资金(万元) 预算金额
            预算(万元) 意向投入 意向投资额 投入预算
        """,
        "cooperation": "合作方式 意向合作方式 拟合作方式 合作模式 合作意向",
        "deadline": "截止日期 需求截止时间 截止时间 需求截止日期 解决期限 期望完成时间",
        "expires": "有效期 有效期至 需求有效期 发布有效期 失效日期 下架时间",
    }
)

_INSTITUTION = _names(
    {
        "source_id": "institution_id 机构编号 机构代码 单位代码 学校标识码 统一社会信用代码",
        "title": """
            机构名称 单位名称 名称 name 学校名称 高校名称 院校名称 企业名称 单位全称 机构全称
            institution institution_name 公司名称
        """,
        "abstract": "机构简介 单位简介 简介 学校简介 企业简介 机构介绍 单位介绍 description",
        "type": "机构类型 单位性质 类别 机构性质 单位类型 机构类别 类型 办学层次",
        "aliases": "曾用名 别名 简称 机构简称 单位简称 又名 英文名称 alias",
        "url": "官网 官方网站 网站 website",
    }
)


def normalise(name: str) -> str:
    """Bring a column name to the form in which names are compared: NFKC, lower case, no punctuation."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).lower())


def is_known(name: str) -> bool:
    """Say whether a column name is an alias of some field of some kind."""
    return normalise(name) in _KNOWN


def label(kind: str, field: str) -> str:
    """Give the Chinese name of a field, by which users know it."""
    return next((name for name in FIELDS[kind][field] if not name.isascii()), field)


def _fields(own: _Aliases, *others: _Aliases, without: str = "") -> Mapping[str, tuple[str, ...]]:
    """Join the names of a kind with the common ones; a name belongs to the first field that claims it."""
    names = {field: [field] for field in (*_COMMON, *own) if field != without}
    claimed = set(map(normalise, names))
    for source in (own, _COMMON, *others):
        for field, aliases in source.items():
            for alias in aliases if field in names else ():
                if normalise(alias) not in claimed:
                    claimed.add(normalise(alias))
                    names[field].append(alias)
    return MappingProxyType({field: tuple(aliases) for field, aliases in names.items()})


# A running number is the last resort of a source id: it means nothing outside its file.
# Patents never need it, for they have numbers of their own.
_LAST_RESORT: _Aliases = {"source_id": ("序号",)}

FIELDS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "achievement": _fields(_ACHIEVEMENT, _LAST_RESORT),
        "patent": _fields(_PATENT),
        "need": _fields(_NEED, _LAST_RESORT),
        # An institution belongs to none: a column `institution` is its own name.
        "institution": _fields(_INSTITUTION, _LAST_RESORT, without="institution"),
    }
)
_KNOWN = frozenset(
    {normalise(name) for fields in FIELDS.values() for names in fields.values() for name in names} | {"序号"}
)
